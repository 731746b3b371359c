/** Ports that a server can be given before it starts, and again when it is started anew. */
import { once } from "node:events"
import { createServer } from "node:net"

/** Below the ports that systems give to outgoing connections: nobody takes one while its server is down. */
const firstPort = 20_000
const portsMax = 12_000

/** A port of 127.0.0.1 that nobody listens at. */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = firstPort + Math.floor(Math.random() * portsMax)
    if (await isFree(port)) return port
  }
}

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer().listen({ port, host: "127.0.0.1", exclusive: true })
  try {
    await once(server, "listening")
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

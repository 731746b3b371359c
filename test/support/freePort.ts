/** Ports that a server can be given before it starts, and again when it is started anew. */
import { once } from "node:events"
import { createServer } from "node:net"

/** Below the ports that systems give to outgoing connections: nobody takes one while its server is down. */
const firstPort = 20_000
/** Two files that run at once could be given one port before either listens at it: each worker has ports of its own. */
const portsPerWorker = 3_000
const workersMax = 4

const firstOfWorker = firstPort + (Number(process.env["VITEST_POOL_ID"] ?? 0) % workersMax) * portsPerWorker
let taken = Math.floor(Math.random() * portsPerWorker)

/** A port of 127.0.0.1 that nobody listens at, and that is given to nobody else soon. */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = firstOfWorker + (++taken % portsPerWorker)
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

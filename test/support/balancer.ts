/**
 * One port in front of several replicas, as a Kubernetes Service is: new connections go to replicas that say they are
 * ready, one after the other; connections that are open stay where they are.
 */
import { once } from "node:events"
import { request } from "node:http"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"

export interface Replica {
  /** Of 127.0.0.1. */
  readonly port: number
  /** The operations port of 127.0.0.1, whose `/readyz` decides. */
  readonly operationsPort: number
}

export interface Balancer extends AsyncDisposable {
  readonly port: number
  /** No new connections to it, whatever it says, as to a pod that is being deleted. */
  readonly withdraw: (replica: Replica) => void
  /** Takes a withdrawal back. */
  readonly restore: (replica: Replica) => void
}

/** kubelet looks every ten seconds; here it is as if endpoints were always up to date. */
const lookMillis = 100

export const startBalancer = async (replicas: ReadonlyArray<Replica>, port = 0): Promise<Balancer> => {
  const withdrawn = new Set<Replica>()
  let ready: ReadonlyArray<Replica> = []
  let turn = 0
  const look = async () => {
    const answers = await Promise.all(replicas.map(({ operationsPort }) => isReady(operationsPort)))
    ready = replicas.filter((_, index) => answers[index])
  }
  await look()
  const looking = setInterval(() => void look(), lookMillis)
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const open = ready.filter((one) => !withdrawn.has(one))
    const replica = open[turn++ % Math.max(1, open.length)]
    if (replica === undefined) return void client.destroy()
    const upstream = connect({ host: "127.0.0.1", port: replica.port })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.once("close", () => sockets.delete(socket))
      socket.on("error", () => {
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream).pipe(client)
  }).listen(port, "127.0.0.1")
  await once(server, "listening")
  return {
    // A server that listens on a port has this kind of address.
    port: (server.address() as AddressInfo).port,
    withdraw: (replica) => void withdrawn.add(replica),
    restore: (replica) => void withdrawn.delete(replica),
    [Symbol.asyncDispose]: async () => {
      clearInterval(looking)
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, "close")
    }
  }
}

/** What a probe of `/readyz` says; no answer within a second is no. */
export const isReady = (operationsPort: number): Promise<boolean> =>
  new Promise((resolve) => {
    const asking = request({ host: "127.0.0.1", port: operationsPort, path: "/readyz", timeout: 1_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    asking.once("timeout", () => asking.destroy())
    asking.once("error", () => resolve(false))
    asking.end()
  })

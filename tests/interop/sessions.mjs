// Reads and writes sessions with the packages for Node that define their formats. Argument: a JSON object; `do` says what. Prints one.

import { readFile, writeFile } from 'node:fs/promises'

import {
  convertFromTdata,
  convertToTdata,
  parseGramjsSession,
  parsePyrogramSession,
  parseTelethonSession,
  serializeGramjsSession,
  serializePyrogramSession,
  serializeTelethonSession,
} from '@mtcute/convert'
import { BaseSqliteStorage, BaseSqliteStorageDriver } from '@mtcute/core'
import { parseBasicDcOption, readStringSession, serializeBasicDcOption, writeStringSession } from '@mtcute/core/utils.js'
import initSqlJs from 'sql.js'
import telegram from 'telegram/sessions/index.js'

const hex = (bytes) => Buffer.from(bytes).toString('hex')
const bytes = (text) => new Uint8Array(Buffer.from(text, 'hex'))

const mtcuteValues = (session) => ({
  dc: session.primaryDcs.main.id,
  ip: session.primaryDcs.main.ipAddress,
  port: session.primaryDcs.main.port,
  ipv6: session.primaryDcs.main.ipv6 ?? false,
  test: session.primaryDcs.main.testMode ?? false,
  user_id: session.self?.userId ?? null,
  bot: session.self?.isBot ?? null,
  key: hex(session.authKey),
})

const parsed = ({ authKey, ...rest }) => ({ ...rest, key: hex(authKey) })

/** mtcute's storage on a database in memory: the drivers that it comes with need a compiler, or a newer Node. */
class Driver extends BaseSqliteStorageDriver {
  constructor(engine, content) {
    super()
    this.engine = engine
    this.content = content
  }

  _createDatabase() {
    const db = new this.engine.Database(this.content)
    this.raw = db
    const values = (params) => params.map((value) => (value instanceof Uint8Array ? new Uint8Array(value) : value))
    return {
      exec: (sql) => db.exec(sql),
      pragma: () => {},
      close: () => {},
      transaction: (run) => (...args) => {
        db.exec('begin')
        const result = run(...args)
        db.exec('commit')
        return result
      },
      prepare: (sql) => ({
        run: (...params) => db.run(sql, values(params)),
        get: (...params) => {
          const statement = db.prepare(sql)
          statement.bind(values(params))
          const row = statement.step() ? statement.getAsObject() : undefined
          statement.free()
          return row
        },
        all: (...params) => {
          const statement = db.prepare(sql)
          statement.bind(values(params))
          const rows = []
          while (statement.step()) rows.push(statement.getAsObject())
          statement.free()
          return rows
        },
      }),
    }
  }
}

async function openStorage(content) {
  const driver = new Driver(await initSqlJs(), content)
  const quiet = { mgr: { level: 0 }, create: () => quiet, verbose() {}, debug() {}, info() {}, warn() {}, error() {} }
  driver.setup(quiet, { beforeExit: () => () => {} })
  const storage = new BaseSqliteStorage(driver)
  await driver.load()
  return { driver, storage }
}

const actions = {
  'read mtcute': ({ text }) => mtcuteValues(readStringSession(text)),
  'read telethon': ({ text }) => parsed(parseTelethonSession(text)),
  'read pyrogram': ({ text }) => parsed(parsePyrogramSession(text)),
  'read gramjs': async ({ text }) => {
    const session = new telegram.StringSession(text)
    await session.load()
    // The converter takes GramJS's own strings only; the length of an address is where Telethon's have the address.
    const own = Buffer.from(text.slice(1), 'base64').readUInt16BE(1) < 256
    return {
      converted: own ? parsed(parseGramjsSession(text)) : null,
      dc: session.dcId,
      ip: session.serverAddress,
      port: session.port,
      key: hex(session.getAuthKey().getKey()),
      again: session.save(),
    }
  },
  'read tdata': async ({ path, passcode, account }) => mtcuteValues(await convertFromTdata({ path, passcode, ignoreVersion: true }, account)),
  'read storage': async ({ path }) => {
    const { storage } = await openStorage(await readFile(path))
    const value = async (key) => hex((await storage.kv.get(key)) ?? [])
    const main = parseBasicDcOption(await storage.kv.get('dc_main'))
    return { main, user: await value('current_user'), key: hex(await storage.authKeys.get(main.id)) }
  },
  make: async ({ dc, ip, port, ipv6, test, user_id: userId, bot, key, api_id: apiId, tdata, passcode, storage: path }) => {
    const authKey = bytes(key)
    const main = { id: dc, ipAddress: ip, port, ipv6, testMode: test }
    const media = { ...main, mediaOnly: true }
    const self = { userId, isBot: bot, isPremium: false, usernames: [] }
    const session = { version: 3, primaryDcs: { main, media: main }, authKey, self }
    await convertToTdata([session, { ...session, self: { ...self, userId: userId + 1 } }], { path: tdata, passcode })
    const { driver, storage } = await openStorage()
    await storage.kv.set('dc_main', serializeBasicDcOption(main))
    // As mtcute's service of the current user writes it, with a username.
    const user = Buffer.alloc(28)
    user.writeInt32LE(1, 0)
    user.writeInt32LE(bot ? 3 : 2, 4)
    user.writeBigInt64LE(BigInt(userId), 8)
    user.writeInt32LE(1, 16)
    user.write('\u0003ada', 20, 'latin1')
    await storage.kv.set('current_user', new Uint8Array(user))
    await storage.authKeys.set(dc, authKey)
    await driver.save()
    await writeFile(path, driver.raw.export())
    return {
      mtcute: writeStringSession(session),
      with_media: writeStringSession({ ...session, primaryDcs: { main, media } }),
      telethon: serializeTelethonSession({ dcId: dc, ipAddress: ip, port, ipv6, authKey }),
      gramjs: serializeGramjsSession({ dcId: dc, ipAddress: ip, port, ipv6, authKey }),
      pyrogram: serializePyrogramSession({ apiId, isBot: bot, isTest: test, userId, dcId: dc, authKey }),
      pyrogram_old: serializePyrogramSession({ isBot: bot, isTest: test, userId, dcId: dc, authKey }),
    }
  },
}

const asked = JSON.parse(process.argv[2])
console.log(JSON.stringify(await actions[asked.do](asked)))

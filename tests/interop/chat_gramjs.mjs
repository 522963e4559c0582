// GramJS (npm `telegram`) as a client that a test talks to: see `chat.mjs`.
//
//     chat_gramjs.mjs CLUSTER_JSON TRANSPORT     full, abridged, obfuscated or websocket
//
// It knows no temporary keys, and no HTTP. Its MTProxy transports talk to a proxy, not to a data centre.

import assert from 'node:assert/strict'
import { createHash, createPublicKey } from 'node:crypto'
import { createRequire } from 'node:module'

import { digest, obey, read, say } from './chat.mjs'

const require = createRequire(import.meta.url)
const { Api, Logger, TelegramClient } = require('telegram')
const { CustomFile } = require('telegram/client/uploads.js')
const { _serverKeys } = require('telegram/crypto/RSA.js')
const { NewMessage } = require('telegram/events')
const extensions = require('telegram/extensions')
const network = require('telegram/network/connection')
const { AbridgedPacketCodec } = require('telegram/network/connection/TCPAbridged.js')
const { StringSession } = require('telegram/sessions')
const { LAYER } = require('telegram/tl/AllTLObjects.js')
const bigInt = require('big-integer')

const [file, transport] = process.argv.slice(2)
const cluster = read(file)

const [connection, socket] = {
    full: [network.ConnectionTCPFull, extensions.PromisedNetSockets],
    abridged: [network.ConnectionTCPAbridged, extensions.PromisedNetSockets],
    obfuscated: [network.ConnectionTCPObfuscated, extensions.PromisedNetSockets],
    websocket: [network.ConnectionTCPObfuscated, extensions.PromisedWebSockets],
}[transport]

/// `string` as TL writes it.
function tlBytes(bytes) {
    const head = bytes.length < 254 ? [bytes.length] : [254, bytes.length & 255, (bytes.length >> 8) & 255, bytes.length >> 16]
    const padding = (4 - ((head.length + bytes.length) % 4)) % 4
    return Buffer.concat([Buffer.from(head), bytes, Buffer.alloc(padding)])
}

for (const pem of cluster.rsa_public_keys) {
    const jwk = createPublicKey(pem).export({ format: 'jwk' })
    const [n, e] = [Buffer.from(jwk.n, 'base64url'), Buffer.from(jwk.e, 'base64url')]
    const hash = createHash('sha1').update(Buffer.concat([tlBytes(n), tlBytes(e)])).digest()
    const fingerprint = hash.readBigInt64LE(12).toString()
    _serverKeys.set(fingerprint, { n: bigInt(n.toString('hex'), 16), e: parseInt(e.toString('hex'), 16) })
}

const option = id => {
    const dc = cluster.dcs.find(dc => dc.id === id)
    return { id, ipAddress: dc.ip, port: dc.port }
}

/// The library's abridged codec takes whatever part of a frame has come for the whole of it. Here it waits for the rest; nothing else is mended.
AbridgedPacketCodec.prototype.readPacket = async function (reader) {
    const read = n => (reader.readExactly ? reader.readExactly(n) : reader.read(n))
    let length = (await read(1))[0]
    if (length >= 127) length = (await read(3)).readUIntLE(0, 3)
    return read(length << 2)
}

/// The library dials port 80, whatever the session says; and the session cannot hold a port above 32767.
class Local extends connection {
    constructor(options) {
        const { ipAddress: ip, port } = option(options.dcId)
        super({ ...options, ip, port })
    }
}

let client

const peers = new Map()
async function peer(phone) {
    if (!peers.has(phone)) {
        const found = await client.invoke(new Api.contacts.ResolvePhone({ phone }))
        peers.set(phone, found.users[0])
    }
    return peers.get(phone)
}

const media = message => {
    const document = message.media?.document
    if (!document) return null
    return { name: document.attributes.find(a => a.fileName)?.fileName, size: Number(document.size) }
}

await obey({
    async 'sign up'({ phone, name }) {
        const home = Number(phone[5])
        const session = new StringSession('')
        session.setDC(home, option(home).ipAddress, 80)
        client = new TelegramClient(session, 1, '0'.repeat(32), {
            connection: Local,
            networkSocket: socket,
            connectionRetries: 2,
            useWSS: false,
            baseLogger: new Logger(process.env.GRAMJS_LOG ?? 'none'),
        })
        client.getDC = async id => ({ ...option(id), port: 80 })
        await client.connect()
        const settings = new Api.CodeSettings({})
        const sent = await client.invoke(new Api.auth.SendCode({ phoneNumber: phone, apiId: 1, apiHash: 'x', settings }))
        const code = { phoneNumber: phone, phoneCodeHash: sent.phoneCodeHash }
        const asked = await client.invoke(new Api.auth.SignIn({ ...code, phoneCode: String(home).repeat(5) }))
        assert.equal(asked.className, 'auth.AuthorizationSignUpRequired')
        const done = await client.invoke(new Api.auth.SignUp({ ...code, firstName: name, lastName: 'of GramJS' }))
        const me = await client.getMe()
        assert.equal(me.id.toString(), done.user.id.toString())
        assert.equal(me.firstName, name)
        client.addEventHandler(async event => {
            const message = event.message
            say({ heard: message.message, id: message.id, from: Number(message.senderId), file: media(message) })
        }, new NewMessage({ incoming: true }))
        return { id: Number(me.id), layer: LAYER }
    },
    async send({ to, text }) {
        const sent = await client.sendMessage(await peer(to), { message: text })
        return { id: sent.id }
    },
    async 'send file'({ to, path, name, size, text }) {
        const file = new CustomFile(name, size, path)
        const sent = await client.sendFile(await peer(to), { file, caption: text, forceDocument: true })
        assert.deepEqual(media(sent), { name, size })
        return { id: sent.id }
    },
    async history({ with: phone, limit }) {
        const messages = await client.getMessages(await peer(phone), { limit })
        return { texts: messages.map(m => m.message) }
    },
    async download({ with: phone, id }) {
        const [message] = await client.getMessages(await peer(phone), { ids: id })
        const bytes = await client.downloadMedia(message, {})
        return { sha256: digest(bytes) }
    },
    async chats() {
        const dialogs = await client.getDialogs({})
        return { names: dialogs.map(d => d.entity.firstName) }
    },
    async leave() {
        await client.disconnect()
    },
})

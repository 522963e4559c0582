// mtcute against the local cluster, with forward secrecy or without.
//
//     mtcute_client.mjs CLUSTER_JSON PHONE SIZE PFS     sign-up, a message, a file of SIZE bytes up and down again; PFS: on or off
//
// Prints one JSON object a line: what was done. Ends with exit code 0 if all of it worked.
//
// It is another implementation of auth.bindTempAuthKey: with PFS it makes a temporary key for each of its connections.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'

import { MemoryStorage, NodePlatform, TcpTransport, TelegramClient } from '@mtcute/node'
import { addPublicKey } from '@mtcute/core/utils.js'
import { NodeCryptoProvider } from '@mtcute/node/utils.js'

const [file, phone, size, pfs] = process.argv.slice(2)
const cluster = JSON.parse(readFileSync(file, 'utf8'))
const home = Number(phone[5])

const say = (step, what = {}) => console.log(JSON.stringify({ step, ...what }))
const digest = bytes => createHash('sha256').update(bytes).digest('hex')
const option = id => {
    const dc = cluster.dcs.find(dc => dc.id === id)
    return { id, ipAddress: dc.ip, port: dc.port }
}

const crypto = new NodeCryptoProvider()
await crypto.initialize()
for (const key of cluster.rsa_public_keys) addPublicKey(crypto, key)

function connect(storage) {
    return new TelegramClient({
        apiId: 1,
        apiHash: '0'.repeat(32),
        storage,
        crypto,
        platform: new NodePlatform(),
        transport: new TcpTransport(),
        defaultDcs: { main: option(home), media: option(home) },
        disableUpdates: true,
        network: { usePfs: pfs === 'on' },
        logLevel: Number(process.env.MTCUTE_LOG ?? 1),
    })
}

const storage = new MemoryStorage()
const client = connect(storage)
await client.connect()
const sent = await client.call({ _: 'auth.sendCode', phoneNumber: phone, apiId: 1, apiHash: '', settings: { _: 'codeSettings' } })
say('connected')
const code = String(home).repeat(5)
const unknown = await client.call({ _: 'auth.signIn', phoneNumber: phone, phoneCodeHash: sent.phoneCodeHash, phoneCode: code })
assert.equal(unknown._, 'auth.authorizationSignUpRequired')
const authorization = await client.call({
    _: 'auth.signUp',
    phoneNumber: phone,
    phoneCodeHash: sent.phoneCodeHash,
    firstName: 'Mt',
    lastName: 'Cute',
})
await client.notifyLoggedIn(authorization)
const me = await client.getMe()
assert.equal(me.firstName, 'Mt')
say('signed up', { id: me.id })

const message = await client.sendText('me', 'a text with ümlauts and 😀')
const [found] = await client.getMessages('me', [message.id])
assert.equal(found.text, message.text)
say('sent', { id: message.id })

const content = randomBytes(Number(size))
const uploaded = await client.sendMedia('me', { type: 'document', file: content, fileName: 'original.bin', fileMime: 'application/octet-stream' })
assert.equal(uploaded.media.fileSize, content.length)
say('uploaded')
const copy = await client.downloadAsBuffer(uploaded.media)
assert.equal(digest(copy), digest(content), 'the copy differs')
say('downloaded')

// Another start with what was stored: no key is made again, but for what is bound.
await client.disconnect()
const again = connect(storage)
await again.connect()
assert.equal((await again.getMe()).id, me.id)
say('reconnected')
await again.call({ _: 'auth.logOut' })
say('logged out')
say('done')
process.exit(0)

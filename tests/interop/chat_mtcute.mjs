// mtcute (npm `@mtcute/node`) as a client that a test talks to: see `chat.mjs`.
//
//     chat_mtcute.mjs CLUSTER_JSON PFS     with temporary keys (on) or without (off)

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

import { MemoryStorage, NodePlatform, TcpTransport, TelegramClient } from '@mtcute/node'
import { addPublicKey } from '@mtcute/core/utils.js'
import { tl } from '@mtcute/core'
import { NodeCryptoProvider } from '@mtcute/node/utils.js'

import { digest, obey, read, say } from './chat.mjs'

const [file, pfs] = process.argv.slice(2)
const cluster = read(file)
const option = id => {
    const dc = cluster.dcs.find(dc => dc.id === id)
    return { id, ipAddress: dc.ip, port: dc.port }
}

const crypto = new NodeCryptoProvider()
await crypto.initialize()
for (const key of cluster.rsa_public_keys) addPublicKey(crypto, key)

let client

const peers = new Map()
async function peer(phone) {
    if (!peers.has(phone)) {
        const found = await client.call({ _: 'contacts.resolvePhone', phone })
        const user = found.users[0]
        peers.set(phone, { _: 'inputPeerUser', userId: user.id, accessHash: user.accessHash })
    }
    return peers.get(phone)
}

const media = message => (message.media?.type === 'document' ? { name: message.media.fileName, size: message.media.fileSize } : null)

await obey({
    async 'sign up'({ phone, name }) {
        const home = Number(phone[5])
        client = new TelegramClient({
            apiId: 1,
            apiHash: '0'.repeat(32),
            storage: new MemoryStorage(),
            crypto,
            platform: new NodePlatform(),
            transport: new TcpTransport(),
            defaultDcs: { main: option(home), media: option(home) },
            network: { usePfs: pfs === 'on' },
            logLevel: Number(process.env.MTCUTE_LOG ?? 1),
        })
        await client.connect()
        const sent = await client.sendCode({ phone })
        const code = { phoneNumber: phone, phoneCodeHash: sent.phoneCodeHash }
        const asked = await client.call({ _: 'auth.signIn', ...code, phoneCode: String(home).repeat(5) })
        assert.equal(asked._, 'auth.authorizationSignUpRequired')
        const done = await client.call({ _: 'auth.signUp', ...code, firstName: name, lastName: 'of mtcute' })
        client.onNewMessage.add(message => {
            if (message.isOutgoing) return
            say({ heard: message.text, id: message.id, from: message.sender.id, file: media(message) })
        })
        // This starts its loop of updates as well, but does not wait for it; what comes before it listens is lost to it for a quarter of an hour.
        await client.notifyLoggedIn(done)
        let me
        do me = await client.getMe()
        while (!client._client.updates.updatesLoopActive)
        assert.equal(me.id, done.user.id)
        assert.equal(me.firstName, name)
        return { id: me.id, layer: tl.LAYER }
    },
    async send({ to, text }) {
        const sent = await client.sendText(await peer(to), text)
        return { id: sent.id }
    },
    async 'send file'({ to, path, name, size, text }) {
        const file = { type: 'document', file: readFileSync(path), fileName: name, caption: text }
        const sent = await client.sendMedia(await peer(to), file)
        assert.deepEqual(media(sent), { name, size })
        return { id: sent.id }
    },
    async history({ with: phone, limit }) {
        const messages = await client.getHistory(await peer(phone), { limit })
        return { texts: messages.map(m => m.text) }
    },
    async download({ with: phone, id }) {
        const [message] = await client.getMessages(await peer(phone), [id])
        // With temporary keys its pool for downloads waits for ever for a key of a data centre that it has never called. Any call makes one.
        await client.call({ _: 'help.getNearestDc' }, { dcId: message.media.dcId })
        const bytes = await client.downloadAsBuffer(message.media)
        return { sha256: digest(bytes) }
    },
    async chats() {
        const names = []
        for await (const dialog of client.iterDialogs({})) names.push(dialog.peer.firstName)
        return { names }
    },
    async leave() {
        await client.destroy()
    },
})

// mtcute against the local cluster, with forward secrecy or without.
//
//     mtcute_client.mjs CLUSTER_JSON PHONE PFS     keys, calls on each kind of connection, a sign-up, another start; PFS: on or off
//
// Prints one JSON object a line: what was done. Ends with exit code 0 if all of it worked.
//
// What mtcute remarks is on standard error: of 256 keys it makes one that begins with a zero, which it leaves out, and has to make another.
// It is another implementation of auth.bindTempAuthKey. What it does with an account is in chat_mtcute.mjs.

import assert from 'node:assert/strict'

import { MemoryStorage, NodePlatform, TcpTransport, TelegramClient } from '@mtcute/node'
import { addPublicKey } from '@mtcute/core/utils.js'
import { NodeCryptoProvider } from '@mtcute/node/utils.js'

import { read, say as print } from './chat.mjs'

const [file, phone, pfs] = process.argv.slice(2)
const cluster = read(file)
const home = Number(phone[5])

const say = step => print({ step })
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
const config = await client.call({ _: 'help.getConfig' })
assert.equal(config.thisDc, home)
say('connected')

for (const kind of ['upload', 'download']) {
    const nearest = await client.call({ _: 'help.getNearestDc' }, { kind })
    assert.equal(nearest.thisDc, home)
    say(kind)
}

const settings = { _: 'codeSettings' }
const sent = await client.call({ _: 'auth.sendCode', phoneNumber: phone, apiId: 1, apiHash: '', settings })
const code = String(home).repeat(5)
const answer = await client.call({ _: 'auth.signIn', phoneNumber: phone, phoneCodeHash: sent.phoneCodeHash, phoneCode: code })
assert.equal(answer._, 'auth.authorizationSignUpRequired')
const account = { phoneNumber: phone, phoneCodeHash: sent.phoneCodeHash, firstName: 'M', lastName: 'Cute' }
const signedUp = await client.call({ _: 'auth.signUp', ...account })
await client.notifyLoggedIn(signedUp)
say('signed up')

// Another start with what was stored.
await client.disconnect()
const again = connect(storage)
await again.connect()
assert.equal((await again.getMe()).firstName, 'M')
say('reconnected')
say('done')
process.exit(0)

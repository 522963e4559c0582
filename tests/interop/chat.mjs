// The conversation between an interop test and a client under Node: one JSON object a line, commands on standard input, answers and what was
// heard on standard output. See `chat.rs`.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

// Standard output is ours alone: what a library has to remark goes elsewhere.
console.log = console.error
export const say = what => process.stdout.write(JSON.stringify(what) + '\n')
export const digest = bytes => createHash('sha256').update(bytes).digest('hex')
export const read = file => JSON.parse(readFileSync(file, 'utf8'))

/// Carries out commands, one after the other, until standard input ends or a command is 'leave'.
export async function obey(commands) {
    for await (const line of createInterface({ input: process.stdin })) {
        const command = JSON.parse(line)
        const result = await commands[command.do](command)
        say({ did: command.do, ...result })
        if (command.do === 'leave') break
    }
    process.exit(0)
}

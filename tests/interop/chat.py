"""The conversation between an interop test and a client in Python: one JSON object a line, commands on standard input, answers and what was
heard on standard output. See `chat.rs`."""

import asyncio
import hashlib
import json
import sys


def say(what):
    print(json.dumps(what), flush=True)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def cluster():
    with open(sys.argv[1], encoding="utf-8") as file:
        return json.load(file)


async def obey(commands):
    """Carries out commands, one after the other, until standard input ends or a command is "leave"."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        name = command.pop("do")
        result = await commands[name](**command)
        say({"did": name, **(result or {})})
        if name == "leave":
            return

"""The part of a desktop client, played by Telethon: it lives on a key that was given to it, and is pushed messages.

    desktop.py CLUSTER_JSON SESSION

SESSION is one of Telethon's own session strings. Prints one JSON object a line: that it is ready, each message that comes in, and, once its
standard input has a line, how often it asked for a difference. Nothing but pushes counts, so it has to be never.
"""

import asyncio
import json
import sys
import time

import cryptg  # noqa: F401  Telethon takes it if it is there.
from telethon import TelegramClient, events, functions
from telethon.network import connection
from telethon.sessions import StringSession


def say(step, **what):
    print(json.dumps({"step": step, **what}), flush=True)


class Desktop(TelegramClient):
    """Counts what it asks for."""

    asked = []

    async def _call(self, sender, request, ordered=False, flood_sleep_threshold=None):
        self.asked.append(type(request).__name__)
        return await super()._call(sender, request, ordered=ordered, flood_sleep_threshold=flood_sleep_threshold)


async def main():
    client = Desktop(
        StringSession(sys.argv[2]),
        1,
        "0" * 32,
        connection=connection.ConnectionTcpFull,
        device_model="Telethon",
        app_version="1.45",
        connection_retries=1,
        timeout=60,
    )

    @client.on(events.NewMessage(incoming=True))
    async def incoming(event):
        say("message", text=event.message.message, sender=event.sender_id, after=time.time() - event.message.date.timestamp())

    await client.connect()
    me = await client.get_me()
    # It is the session that called last: updates come here from now on.
    state = await client(functions.updates.GetStateRequest())
    client.asked.clear()
    say("ready", id=me.id, pts=state.pts)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    differences = [name for name in client.asked if "Difference" in name]
    say("asked", differences=len(differences), all=sorted(set(client.asked)))
    # Whoever is still logged in can ask.
    assert (await client.get_me()).id == me.id
    await client.disconnect()
    say("done")


asyncio.run(main())

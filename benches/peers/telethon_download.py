"""Downloads the file of one message from the account's own chat with Telethon, as its documentation shows it: a client to be measured from
outside, by `download.py`.

    telethon_download.py IP PORT MESSAGE OUT          the session string on standard input
"""

import asyncio
import sys

import cryptg  # noqa: F401  Telethon takes it if it is there.
from telethon import TelegramClient
from telethon.sessions import StringSession


async def main(ip, port, message, out):
    session = StringSession(sys.stdin.read().strip())
    session.set_dc(session.dc_id, ip, int(port))
    client = TelegramClient(session, 1, "0" * 32, receive_updates=False)
    await client.connect()
    found = await client.get_messages("me", ids=int(message))
    await client.download_media(found, file=out)
    await client.disconnect()


asyncio.run(main(*sys.argv[1:]))

"""Telethon reads an album that somebody else sent.

    album_telethon.py CLUSTER_JSON PHONE

Logs in to the account, and prints one JSON object for each message of Saved Messages, the oldest first: what Telethon makes of it, and the
SHA-256 of its file and of its thumbnail. Ends with exit code 0 if all of it worked.
"""

import asyncio
import hashlib
import json
import sys

from telethon import TelegramClient
from telethon.crypto import rsa
from telethon.sessions import MemorySession


def digest(data):
    return hashlib.sha256(data).hexdigest() if data else None


async def main():
    with open(sys.argv[1]) as file:
        cluster = json.load(file)
    for key in cluster["rsa_public_keys"]:
        rsa.add_key(key, old=False)
    phone = sys.argv[2]
    home = int(phone[5])
    dc = next(dc for dc in cluster["dcs"] if dc["id"] == home)
    session = MemorySession()
    session.set_dc(dc["id"], dc["ip"], dc["port"])
    client = TelegramClient(session, 1, "0" * 32, connection_retries=1, retry_delay=0, timeout=60)
    await client.connect()
    await client.send_code_request(phone)
    await client.sign_in(phone, str(home) * 5)
    for message in await client.get_messages("me", limit=100, reverse=True):
        file = message.file
        thumb = file.media.thumbs if message.document and message.document.thumbs else None
        print(
            json.dumps({
                "step": "read",
                "grouped": message.grouped_id,
                "text": message.message,
                "name": file.name,
                "mime": file.mime_type,
                "size": file.size,
                "width": file.width,
                "height": file.height,
                "duration": file.duration,
                "title": file.title,
                "performer": file.performer,
                "photo": message.photo is not None,
                "video": message.video is not None,
                "audio": message.audio is not None,
                "sha256": digest(await client.download_media(message, file=bytes)),
                "thumb": digest(await client.download_media(message, file=bytes, thumb=-1)) if thumb else None,
            }),
            flush=True,
        )
    await client.disconnect()


asyncio.run(main())

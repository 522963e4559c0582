"""Telethon, of any of the versions that `requirements_telethon_*.txt` name, as a client that a test talks to: see `chat.py`.

    chat_telethon.py CLUSTER_JSON
"""

import asyncio

import chat
from telethon import TelegramClient, events, functions
from telethon.crypto import rsa
from telethon.errors import PhoneNumberUnoccupiedError
from telethon.sessions import MemorySession
from telethon.tl.alltlobjects import LAYER


class Chat:
    def __init__(self):
        self.cluster = chat.cluster()
        for key in self.cluster["rsa_public_keys"]:
            rsa.add_key(key, old=False)
        self.peers = {}

    async def peer(self, phone):
        if phone not in self.peers:
            found = await self.client(functions.contacts.ResolvePhoneRequest(phone))
            self.peers[phone] = found.users[0]
        return self.peers[phone]

    async def sign_up(self, phone, name):
        home = int(phone[5])
        dc = next(dc for dc in self.cluster["dcs"] if dc["id"] == home)
        session = MemorySession()
        session.set_dc(dc["id"], dc["ip"], dc["port"])
        self.client = TelegramClient(session, 1, "0" * 32, connection_retries=2, retry_delay=0, timeout=60)
        await self.client.connect()
        sent = await self.client.send_code_request(phone)
        try:
            await self.client.sign_in(phone, str(home) * 5)
            raise AssertionError("a new number has an account")
        except PhoneNumberUnoccupiedError:
            pass
        await self.client(functions.auth.SignUpRequest(phone, sent.phone_code_hash, name, "of Telethon"))
        me = await self.client.get_me()
        assert me.first_name == name, me

        async def heard(event):
            message = event.message
            file = {"name": message.file.name, "size": message.file.size} if message.file else None
            chat.say({"heard": message.message, "id": message.id, "from": message.sender_id, "file": file})

        self.client.add_event_handler(heard, events.NewMessage(incoming=True))
        return {"id": me.id, "layer": LAYER}

    async def send(self, to, text):
        return {"id": (await self.client.send_message(await self.peer(to), text)).id}

    async def send_file(self, to, path, name, size, text):
        sent = await self.client.send_file(await self.peer(to), path, caption=text, force_document=True)
        assert (sent.file.name, sent.file.size) == (name, size), sent
        return {"id": sent.id}

    async def history(self, limit, **who):
        return {"texts": [m.message for m in await self.client.get_messages(await self.peer(who["with"]), limit=limit)]}

    async def download(self, id, **who):
        message = await self.client.get_messages(await self.peer(who["with"]), ids=id)
        return {"sha256": chat.digest(await self.client.download_media(message, file=bytes))}

    async def chats(self):
        return {"names": [d.entity.first_name for d in await self.client.get_dialogs()]}

    async def leave(self):
        await self.client.disconnect()


async def main():
    c = Chat()
    await chat.obey({
        "sign up": c.sign_up,
        "send": c.send,
        "send file": c.send_file,
        "history": c.history,
        "download": c.download,
        "chats": c.chats,
        "leave": c.leave,
    })


asyncio.run(main())

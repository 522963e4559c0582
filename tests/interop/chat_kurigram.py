"""kurigram, of the version that `requirements_kurigram_2.2.0.txt` names, as a client that a test talks to: see `chat.py`.

    chat_kurigram.py CLUSTER_JSON
"""

import asyncio

import chat
from pyrogram import Client, filters, raw
from pyrogram.connection import Connection
from pyrogram.connection.transport.tcp.tcp_intermediate_o import TCPIntermediateO
from pyrogram.handlers import MessageHandler
from pyrogram.raw.all import layer
from trust import trust


class Chat:
    def __init__(self):
        self.cluster = chat.cluster()
        for key in self.cluster["rsa_public_keys"]:
            trust(key)
        self.peers = {}

    async def peer(self, phone):
        if phone not in self.peers:
            found = await self.client.invoke(raw.functions.contacts.ResolvePhone(phone=phone))
            await self.client.fetch_peers(found.users)
            self.peers[phone] = found.users[0].id
        return self.peers[phone]

    async def sign_up(self, phone, name):
        places = {dc["id"]: (dc["ip"], dc["port"]) for dc in self.cluster["dcs"]}

        class Local(Connection):
            """The library has the addresses of the public data centres built in: these are ours."""

            def __init__(self, dc_id, *args, **kwargs):
                super().__init__(dc_id, *args, **kwargs)
                self.address = places[dc_id]

        self.client = Client(
            phone, api_id=1, api_hash="0" * 32, in_memory=True, connection_factory=Local, protocol_factory=TCPIntermediateO
        )
        await self.client.connect()
        # It begins at DC 2, and is sent where the number lives.
        code = await self.client.send_code(phone)
        signed_in = await self.client.sign_in(phone, code.phone_code_hash, phone[5] * 5)
        # False, or the terms of service that signing up accepts.
        assert signed_in is False or type(signed_in).__name__ == "TermsOfService", signed_in
        me = await self.client.sign_up(phone, code.phone_code_hash, name, "of kurigram")
        assert me.first_name == name, me

        async def heard(_, message):
            document = message.document
            file = {"name": document.file_name, "size": document.file_size} if document else None
            chat.say({"heard": message.text or message.caption, "id": message.id, "from": message.from_user.id, "file": file})

        self.client.add_handler(MessageHandler(heard, filters.incoming))
        await self.client.initialize()
        # The server sends updates to those who have asked where they stand.
        await self.client.invoke(raw.functions.updates.GetState())
        return {"id": me.id, "layer": layer}

    async def send(self, to, text):
        return {"id": (await self.client.send_message(await self.peer(to), text)).id}

    async def send_file(self, to, path, name, size, text):
        sent = await self.client.send_document(await self.peer(to), path, caption=text, force_document=True)
        assert (sent.document.file_name, sent.document.file_size) == (name, size), sent
        return {"id": sent.id}

    async def history(self, limit, **who):
        found = self.client.get_chat_history(await self.peer(who["with"]), limit=limit)
        return {"texts": [m.text or m.caption async for m in found]}

    async def download(self, id, **who):
        message = await self.client.get_messages(await self.peer(who["with"]), id)
        data = await self.client.download_media(message, in_memory=True)
        return {"sha256": chat.digest(bytes(data.getbuffer()))}

    async def chats(self):
        return {"names": [d.chat.first_name async for d in self.client.get_dialogs()]}

    async def leave(self):
        await self.client.terminate()
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


if __name__ == "__main__":
    asyncio.run(main())

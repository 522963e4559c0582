"""Telethon against the local cluster.

    telethon_client.py CLUSTER_JSON keys DC          a key exchange and a call on each of its transports
    telethon_client.py CLUSTER_JSON account PHONE SIZE DIRECTORY [TRANSPORT]
                                                     sign-up, a message, a file of SIZE bytes up and down again, over one of them

Prints one JSON object a line: what was done. Ends with exit code 0 if all of it worked.

Left out, with the reason:

* ConnectionHttp as it is: it compares the last byte of a line, a number, with a string, finds them different, and takes every answer
  for cut off. Here it reads with that one comparison mended; the rest of it is Telethon's own;
* the three ConnectionTcpMTProxy*: they talk to a proxy that knows their secret, not to a data centre.
"""

import asyncio
import hashlib
import json
import os
import random
import sys

import cryptg  # noqa: F401  Telethon takes it if it is there; without it, its cipher is too slow for 20 MB.
from telethon import TelegramClient, functions, types
from telethon.crypto import rsa
from telethon.errors import PhoneNumberUnoccupiedError
from telethon.network import connection
from telethon.network.connection.http import HttpPacketCodec
from telethon.sessions import MemorySession


class MendedHttpCodec(HttpPacketCodec):
    async def read_packet(self, reader):
        while True:
            line = await reader.readline()
            if not line.endswith(b"\n"):
                raise asyncio.IncompleteReadError(line, None)
            if line.lower().startswith(b"content-length: "):
                await reader.readexactly(2)
                return await reader.readexactly(int(line[16:-2]))


class MendedHttp(connection.ConnectionHttp):
    packet_codec = MendedHttpCodec


TRANSPORTS = {
    "full": connection.ConnectionTcpFull,
    "abridged": connection.ConnectionTcpAbridged,
    "intermediate": connection.ConnectionTcpIntermediate,
    "obfuscated": connection.ConnectionTcpObfuscated,
    "http": MendedHttp,
}


def say(step, **what):
    print(json.dumps({"step": step, **what}), flush=True)


def client_for(cluster, dc_id, transport):
    dc = next(dc for dc in cluster["dcs"] if dc["id"] == dc_id)
    session = MemorySession()
    session.set_dc(dc["id"], dc["ip"], dc["port"])
    return TelegramClient(
        session, 1, "0" * 32, connection=TRANSPORTS[transport], connection_retries=1, retry_delay=0, request_retries=3, timeout=60
    )


async def keys(cluster, dc_id):
    for transport in TRANSPORTS:
        client = client_for(cluster, dc_id, transport)
        await client.connect()
        config = await client(functions.help.GetConfigRequest())
        assert config.this_dc == dc_id, config
        assert len(config.dc_options) == len(cluster["dcs"]), config
        assert client.session.auth_key and len(client.session.auth_key.key) == 256
        assert not await client.is_user_authorized()
        await client.disconnect()
        say("key exchange", transport=transport)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def account(cluster, phone, size, directory, transport):
    home = int(phone[5])
    # Somewhere else first: the cluster sends us home.
    elsewhere = next(dc["id"] for dc in cluster["dcs"] if dc["id"] != home)
    client = client_for(cluster, elsewhere, transport)
    await client.connect()
    sent = await client.send_code_request(phone)
    assert client.session.dc_id == home, client.session.dc_id
    say("migrated", dc=home)
    code = str(home) * 5
    try:
        await client.sign_in(phone, code)
        raise AssertionError("a new number has an account")
    except PhoneNumberUnoccupiedError:
        pass
    # Telethon refuses to sign up by itself; the method is still there.
    await client(functions.auth.SignUpRequest(phone, sent.phone_code_hash, "Tele", "Thon"))
    me = await client.get_me()
    assert (me.first_name, me.last_name, me.phone) == ("Tele", "Thon", phone), me
    say("signed up", id=me.id)

    text = "a text with \u00fcmlauts and \U0001f600"
    message = await client.send_message("me", text)
    found = await client.get_messages("me", limit=5)
    assert [m.message for m in found] == [text], found
    assert found[0].id == message.id
    say("sent", id=message.id)

    path = os.path.join(directory, "original file.bin")
    with open(path, "wb") as file:
        file.write(random.Random(size).randbytes(size))
    sent = await client.send_file("me", path, force_document=True, caption="the file")
    assert sent.file.size == size and sent.file.name == "original file.bin", sent
    say("uploaded", bytes=size)
    fetched = await client.get_messages("me", ids=sent.id)
    copy = await client.download_media(fetched, file=os.path.join(directory, "copy.bin"))
    assert digest(copy) == digest(path), "the copy differs"
    say("downloaded", sha256=digest(copy))

    dialogs = await client.get_dialogs()
    assert [(d.id, d.message.id) for d in dialogs] == [(me.id, sent.id)], dialogs
    await client.delete_messages("me", [message.id])
    assert [m.id for m in await client.get_messages("me", limit=5)] == [sent.id]

    # A second session of the account hears what the first one does.
    second = client_for(cluster, home, "obfuscated")
    await second.connect()
    await second.send_code_request(phone)
    await second.sign_in(phone, code)
    assert (await second.get_me()).id == me.id
    assert len((await client(functions.account.GetAuthorizationsRequest())).authorizations) == 2
    heard = asyncio.get_running_loop().create_future()

    async def on_update(event):
        if isinstance(event, types.UpdateNewMessage) and not heard.done():
            heard.set_result(event.message.message)

    second.add_event_handler(on_update)
    await client.send_message("me", "heard?")
    assert await asyncio.wait_for(heard, 30) == "heard?"
    say("update")

    await second.log_out()
    # The connection is lost; the session goes on.
    await client.disconnect()
    await client.connect()
    assert (await client.get_me()).id == me.id
    say("reconnected")
    await client.log_out()
    say("logged out")


async def main():
    with open(sys.argv[1]) as file:
        cluster = json.load(file)
    for key in cluster["rsa_public_keys"]:
        rsa.add_key(key, old=False)
    if sys.argv[2] == "keys":
        await keys(cluster, int(sys.argv[3]))
    else:
        await account(cluster, sys.argv[3], int(sys.argv[4]), sys.argv[5], *(sys.argv[6:] or ["full"]))
    say("done")


asyncio.run(main())

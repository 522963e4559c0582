"""kurigram against the local cluster. It knows no forward secrecy: the cluster serves its permanent keys as well.

    kurigram_client.py CLUSTER_JSON keys DC          a key exchange and a call on each of its transports
    kurigram_client.py CLUSTER_JSON account PHONE SIZE DIRECTORY
                                                     sign-up, a message, a file of SIZE bytes up and down again

Prints one JSON object a line: what was done. Ends with exit code 0 if all of it worked.
"""

import asyncio
import hashlib
import json
import os
import random
import sys

from pyrogram import Client, raw
from pyrogram.connection import Connection
from pyrogram.connection.transport import tcp
from trust import trust

TRANSPORTS = {
    "abridged": tcp.TCPAbridged,
    "obfuscated abridged": tcp.TCPAbridgedO,
    "full": tcp.TCPFull,
    "intermediate": tcp.TCPIntermediate,
    "obfuscated intermediate": tcp.TCPIntermediateO,
    "padded": tcp.TCPIntermediatePadded,
}


def say(step, **what):
    print(json.dumps({"step": step, **what}), flush=True)


def client_for(cluster, transport, name):
    places = {dc["id"]: (dc["ip"], dc["port"]) for dc in cluster["dcs"]}

    class Local(Connection):
        """The library has the addresses of the public data centres built in: these are ours."""

        def __init__(self, dc_id, server_address, port, *args, **kwargs):
            super().__init__(dc_id, *places[dc_id], *args, **kwargs)

    return Client(
        name, api_id=1, api_hash="0" * 32, in_memory=True, no_updates=True, connection_factory=Local, protocol_factory=TRANSPORTS[transport]
    )


async def keys(cluster):
    for transport in TRANSPORTS:
        client = client_for(cluster, transport, transport)
        await client.connect()
        config = await client.invoke(raw.functions.help.GetConfig())
        assert config.this_dc == 2 and len(config.dc_options) == len(cluster["dcs"]), config
        await client.disconnect()
        say("key exchange", transport=transport)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def account(cluster, phone, size, directory):
    client = client_for(cluster, "obfuscated intermediate", "account")
    await client.connect()
    # It begins at DC 2, and is sent where the number lives.
    code = await client.send_phone_number_code(phone)
    home = int(phone[5])
    assert await client.storage.dc_id() == home
    say("migrated", dc=home)
    signed_in = await client.sign_in(phone, code.phone_code_hash, str(home) * 5)
    # False, or the terms of service that signing up accepts.
    assert signed_in is False or type(signed_in).__name__ == "TermsOfService", signed_in
    me = await client.sign_up(phone, code.phone_code_hash, "Kuri", "Gram")
    assert (me.first_name, me.last_name) == ("Kuri", "Gram"), me
    say("signed up", id=me.id)

    text = "a text with \u00fcmlauts and \U0001f600"
    message = await client.send_message("me", text)
    found = await client.get_messages("me", message.id)
    assert found.text == text, found
    say("sent", id=message.id)

    path = os.path.join(directory, "original.bin")
    with open(path, "wb") as file:
        file.write(random.Random(size).randbytes(size))
    sent = await client.send_document("me", path, caption="the file", force_document=True)
    assert sent.document.file_size == size, sent
    say("uploaded", bytes=size)
    copy = await client.download_media(sent, file_name=os.path.join(directory, "copy.bin"))
    assert digest(copy) == digest(path), "the copy differs"
    say("downloaded")
    await client.invoke(raw.functions.auth.LogOut())
    say("logged out")
    await client.disconnect()


async def main():
    with open(sys.argv[1]) as file:
        cluster = json.load(file)
    for key in cluster["rsa_public_keys"]:
        trust(key)
    if sys.argv[2] == "keys":
        await keys(cluster)
    else:
        await account(cluster, sys.argv[3], int(sys.argv[4]), sys.argv[5])
    say("done")


asyncio.run(main())

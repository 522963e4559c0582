"""Reads and writes sessions with the Python packages that define their formats. Argument: a JSON object; `do` says what. Prints one."""

import asyncio
import json
import logging
import struct
import sys
from base64 import urlsafe_b64encode
from pathlib import Path


def telethon_values(session):
    """What a session of Telethon holds."""
    return {
        "dc": session.dc_id,
        "ip": session.server_address,
        "port": session.port,
        "key": session.auth_key.key.hex(),
    }


def telethon_fill(session, asked):
    from telethon.crypto import AuthKey
    from telethon.tl import types

    session.set_dc(asked["dc"], asked["ip"], asked["port"])
    session.auth_key = AuthKey(bytes.fromhex(asked["key"]))
    # As the client does when it knows who it is.
    session.process_entities(types.contacts.ResolvedPeer(None, [types.InputPeerUser(0, asked["user_id"])], []))
    session.save()
    return session


def read_telethon(asked):
    from telethon.sessions import SQLiteSession, StringSession

    session = StringSession(asked["text"]) if "text" in asked else SQLiteSession(asked["path"])
    return telethon_values(session)


def make_telethon(asked):
    from telethon.sessions import MemorySession, SQLiteSession, StringSession

    file = telethon_fill(SQLiteSession(asked["path"]), asked)
    text = StringSession.save(file)
    file.close()
    return {"text": text}


def storage(asked):
    from pyrogram.storage import SQLiteStorage

    if "text" in asked:
        return SQLiteStorage("memory", Path("."), session_string=asked["text"], in_memory=True)
    path = Path(asked["path"])
    return SQLiteStorage(path.stem, path.parent)


async def read_pyrogram(asked):
    read = storage(asked)
    await read.open()
    values = {
        "dc": await read.dc_id(),
        "test": bool(await read.test_mode()),
        "key": (await read.auth_key()).hex(),
        "user_id": await read.user_id(),
        "bot": bool(await read.is_bot()),
        "api_id": await read.api_id(),
    }
    # Where it comes from a file, the newest version of the layout has it now.
    values["version"] = await read.version()
    await read.close()
    return values


async def make_pyrogram(asked):
    made = storage({"path": asked["path"]})
    await made.open()
    key = bytes.fromhex(asked["key"])
    await made.dc_id(asked["dc"])
    await made.api_id(asked["api_id"])
    await made.test_mode(asked["test"])
    await made.auth_key(key)
    await made.user_id(asked["user_id"])
    await made.is_bot(asked["bot"])
    await made.date(0)
    text = await made.export_session_string()
    await made.save()
    await made.close()

    def old(layout, user_id):
        packed = struct.pack(layout, asked["dc"], asked["test"], key, user_id, asked["bot"])
        return urlsafe_b64encode(packed).decode().rstrip("=")

    return {
        "text": text,
        "wide": old(type(made).OLD_SESSION_STRING_FORMAT_64, asked["user_id"]),
        "narrow": old(type(made).OLD_SESSION_STRING_FORMAT, 77),
    }


def read_opentele2(asked):
    from opentele2._native import CoreError, TData

    try:
        tdata = TData.load(asked["path"], asked["passcode"])
    except CoreError as error:
        return {"error": error.code}
    accounts = [
        {"user_id": a.user_id, "dc": a.main_dc, "keys": {str(dc): key.hex() for dc, key in a.keys}, "config": a.config is not None}
        for a in tdata.accounts
    ]
    return {"accounts": accounts, "active": tdata.active_index, "version": tdata.app_version}


def make_opentele2(asked):
    from opentele2._native import Account, TData

    accounts = [
        Account(index, a["user_id"], a["dc"], [(int(dc), bytes.fromhex(key)) for dc, key in a["keys"].items()])
        for index, a in enumerate(asked["accounts"])
    ]
    TData.new(accounts, asked["passcode"], performance_mode=False, active_index=0).save(asked["path"])
    return {}


def read_opentele_ng(asked):
    """Reads, and writes what was read to `again`, with its passcode."""
    from opentele.exception import TDataBadDecryptKey
    from opentele.td import TDesktop

    try:
        tdesk = TDesktop(asked["path"], passcode=asked["passcode"])
    except TDataBadDecryptKey:
        return {"error": "passcode"}
    accounts = [
        {
            "user_id": a.UserId,
            "dc": int(a.MainDcId),
            "key": a.authKey.key.hex(),
            "test": a.MtpConfig._dcOptions.isTestMode(),
        }
        for a in tdesk.accounts
    ]
    if "again" in asked:
        tdesk.SaveTData(asked["again"], passcode=asked["again_passcode"])
    return {"accounts": accounts}


ACTIONS = {
    "read telethon": read_telethon,
    "make telethon": make_telethon,
    "read pyrogram": read_pyrogram,
    "make pyrogram": make_pyrogram,
    "read opentele2": read_opentele2,
    "make opentele2": make_opentele2,
    "read opentele-ng": read_opentele_ng,
}


def main():
    logging.disable(logging.WARNING)
    asked = json.loads(sys.argv[1])
    done = ACTIONS[asked["do"]](asked)
    if asyncio.iscoroutine(done):
        done = asyncio.run(done)
    print(json.dumps(done))


if __name__ == "__main__":
    main()

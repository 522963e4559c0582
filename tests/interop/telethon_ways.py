"""Telethon's ways into the local cluster.

    telethon_ways.py CLUSTER_JSON PHONE PASSWORD OTHER_PHONE BOT_TOKEN

PHONE has that password, OTHER_PHONE has none and lives on another data centre. Logs in with a password, sets one with an address, changes
and removes it, logs in by QR code on both sides (here, elsewhere, with a password), and as a bot.

Prints one JSON object a line: what was done. Ends with exit code 0 if all of it worked.
"""

import asyncio
import json
import sys

from telethon import TelegramClient, functions
from telethon.crypto import rsa
from telethon.errors import (
    AccessTokenInvalidError,
    AuthTokenAlreadyAcceptedError,
    BotMethodInvalidError,
    PasswordHashInvalidError,
    SessionPasswordNeededError,
)
from telethon.sessions import MemorySession


def say(step, **what):
    print(json.dumps({"step": step, **what}), flush=True)


async def client_for(cluster, dc_id):
    dc = next(dc for dc in cluster["dcs"] if dc["id"] == dc_id)
    session = MemorySession()
    session.set_dc(dc["id"], dc["ip"], dc["port"])
    client = TelegramClient(session, 1, "0" * 32, connection_retries=1, retry_delay=0, request_retries=3, timeout=60)
    await client.connect()
    return client


async def log_in(client, phone, password=None):
    await client.send_code_request(phone)
    try:
        await client.sign_in(phone, phone[5] * 5)
        assert password is None, "no password was asked for"
    except SessionPasswordNeededError:
        assert password is not None, "a password was asked for"
        await client.sign_in(password=password)
    me = await client.get_me()
    assert me.phone == phone, me
    return me


async def by_qr(cluster, dc_id, accepting, password=None):
    """Logs in on a client of a data centre, accepted by another client."""
    client = await client_for(cluster, dc_id)
    login = await client.qr_login()
    assert login.url.startswith("tg://login?token="), login.url
    waiting = asyncio.ensure_future(login.wait(30))
    # It listens from here on.
    await asyncio.sleep(0)
    accepted = await accepting(functions.auth.AcceptLoginTokenRequest(login.token))
    assert bool(accepted.password_pending) == (password is not None), accepted
    try:
        await accepting(functions.auth.AcceptLoginTokenRequest(login.token))
        raise AssertionError("accepted twice")
    except AuthTokenAlreadyAcceptedError:
        pass
    try:
        await waiting
        assert password is None, "no password was asked for"
    except SessionPasswordNeededError:
        assert password is not None, "a password was asked for"
        await client.sign_in(password=password)
    assert (await client.get_me()).id == (await accepting.get_me()).id
    await client.log_out()


async def ways(cluster, phone, password, other_phone, bot_token):
    home, other_home = int(phone[5]), int(other_phone[5])
    first = await client_for(cluster, home)
    await first.send_code_request(phone)
    try:
        await first.sign_in(phone, phone[5] * 5)
        raise AssertionError("no password was asked for")
    except SessionPasswordNeededError:
        pass
    try:
        await first.sign_in(password=password + "x")
        raise AssertionError("a wrong password is none")
    except PasswordHashInvalidError:
        pass
    await first.sign_in(password=password)
    assert (await first.get_me()).phone == phone
    say("password")

    second = await client_for(cluster, other_home)
    await log_in(second, other_phone)
    asked = []

    def code(length):
        asked.append(length)
        return other_phone[5] * length

    assert await second.edit_2fa(new_password="one", hint="number", email="two@example.org", email_code_callback=code)
    assert asked == [6], asked
    state = await second(functions.account.GetPasswordRequest())
    assert (state.has_password, state.has_recovery, state.hint) == (True, True, "number"), state
    third = await client_for(cluster, other_home)
    await log_in(third, other_phone, "one")
    assert await third.edit_2fa(current_password="one", new_password="two")
    await third.log_out()
    third = await client_for(cluster, other_home)
    await log_in(third, other_phone, "two")
    assert await third.edit_2fa(current_password="two")
    await third.log_out()
    third = await client_for(cluster, other_home)
    await log_in(third, other_phone)
    await third.log_out()
    say("password set, changed and removed")

    await by_qr(cluster, other_home, second)
    say("QR code")
    await by_qr(cluster, home, second)
    say("QR code elsewhere")
    await by_qr(cluster, other_home, first, password)
    say("QR code elsewhere, with a password")

    bot = await client_for(cluster, home)
    try:
        await bot.sign_in(bot_token=bot_token + "x")
        raise AssertionError("a wrong token is none")
    except AccessTokenInvalidError:
        pass
    await bot.sign_in(bot_token=bot_token)
    me = await bot.get_me()
    assert me.bot and me.id == int(bot_token.split(":")[0]) and me.phone is None, me
    assert await bot.is_bot()
    try:
        await bot(functions.contacts.GetContactsRequest(hash=0))
        raise AssertionError("a bot has no contacts")
    except BotMethodInvalidError:
        pass
    await bot.log_out()
    say("bot")
    await first.log_out()
    await second.log_out()


async def main():
    with open(sys.argv[1]) as file:
        cluster = json.load(file)
    for key in cluster["rsa_public_keys"]:
        rsa.add_key(key, old=False)
    await ways(cluster, *sys.argv[2:6])
    say("done")


asyncio.run(main())

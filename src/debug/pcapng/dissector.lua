-- A Wireshark dissector for what `tdl --trace-file FILE.pcapng` and `tdl trace decode --out FILE.pcapng` write.
--
--   wireshark -X lua_script:tdl.lua FILE.pcapng          or put it into the folder that Wireshark calls Personal Lua Plugins
--
-- Printed by `tdl trace dissector` of tdl @VERSION@; the names below are those of layer @LAYER@.

local names = {
@NAMES@
}

local mtproto = Proto("mtproto", "Telegram MTProto")

local VERSION = 1
local KIND_EVENT = 2

local verdicts = { [0] = "not checked", [1] = "ok", [2] = "does not match" }
local directions = { [0] = "none", [1] = "client to server", [2] = "server to client" }
local redaction = { [0] = "public values only", [1] = "all but secrets", [2] = "everything" }

local f = {
  version = ProtoField.uint8("mtproto.version", "Format version"),
  direction = ProtoField.uint8("mtproto.direction", "Direction", base.DEC, directions),
  shown = ProtoField.uint8("mtproto.shown", "Shown of bodies", base.DEC, redaction),
  conn = ProtoField.uint32("mtproto.conn", "Connection"),
  dc = ProtoField.int32("mtproto.dc", "Data centre"),
  transport = ProtoField.string("mtproto.transport", "Transport"),
  auth_key_id = ProtoField.uint64("mtproto.auth_key_id", "Auth key", base.HEX),
  length = ProtoField.uint32("mtproto.length", "Packet length"),
  msg_key = ProtoField.uint8("mtproto.msg_key", "Message key", base.DEC, verdicts),
  salt = ProtoField.uint64("mtproto.salt", "Server salt", base.HEX),
  session_id = ProtoField.uint64("mtproto.session_id", "Session", base.HEX),
  padding = ProtoField.uint32("mtproto.padding", "Padding"),
  quick_ack = ProtoField.uint32("mtproto.quick_ack", "Quick ack token", base.HEX),
  msg_id = ProtoField.uint64("mtproto.msg_id", "Message id", base.HEX),
  msg_time = ProtoField.absolute_time("mtproto.msg_id.time", "Time in it", base.UTC),
  seq_no = ProtoField.int32("mtproto.seq_no", "Sequence number"),
  body_length = ProtoField.uint32("mtproto.body_length", "Body length"),
  constructor = ProtoField.uint32("mtproto.constructor", "Constructor", base.HEX),
  name = ProtoField.string("mtproto.name", "Constructor's name"),
  container = ProtoField.uint64("mtproto.container", "In container", base.HEX),
  tl = ProtoField.string("mtproto.tl", "TL"),
  body = ProtoField.bytes("mtproto.body", "Body"),
  method = ProtoField.string("mtproto.rpc.method", "Method"),
  req_msg_id = ProtoField.uint64("mtproto.rpc.req_msg_id", "Answer to message", base.HEX),
  request_in = ProtoField.framenum("mtproto.rpc.request_in", "Request in packet", base.NONE, frametype.REQUEST),
  latency = ProtoField.double("mtproto.rpc.latency", "Latency (seconds)"),
  error_code = ProtoField.int32("mtproto.rpc.error_code", "Error code"),
  error_text = ProtoField.string("mtproto.rpc.error", "Error"),
  note_layer = ProtoField.string("mtproto.event.layer", "Layer"),
  note_subject = ProtoField.string("mtproto.event.subject", "Event"),
  note_details = ProtoField.string("mtproto.event.details", "Details"),
}

local all = {}
for _, field in pairs(f) do
  all[#all + 1] = field
end
mtproto.fields = all

local malformed = ProtoExpert.new("mtproto.malformed", "Malformed record", expert.group.MALFORMED, expert.severity.ERROR)
local refused = ProtoExpert.new("mtproto.check_failed", "A rule was broken", expert.group.PROTOCOL, expert.severity.WARN)
local failed = ProtoExpert.new("mtproto.rpc.failed", "Answered with an error", expert.group.RESPONSE_CODE, expert.severity.NOTE)
mtproto.experts = { malformed, refused, failed }

-- The packets that requests are in, by message id: an answer may come over another connection.
local requests = {}
function mtproto.init()
  requests = {}
end

local function name_of(id)
  return names[id] or string.format("0x%08x", id)
end

-- Numbered values, one after the other. Returns false where they run over the end.
local function each(range, take)
  local at, size = 0, range:len()
  while at < size do
    if at + 6 > size then
      return false
    end
    local number, len = range(at, 2):le_uint(), range(at + 2, 4):le_uint()
    at = at + 6
    if at + len > size then
      return false
    end
    if len > 0 then
      take(number, range(at, len))
    end
    at = at + len
  end
  return true
end

-- Sizes of values that are numbers: what has another size is passed over.
local sizes = {
  [2] = 8, [3] = 4, [4] = 1, [5] = 8, [6] = 8, [7] = 4, [8] = 4,
  [17] = 8, [18] = 4, [19] = 4, [20] = 4, [21] = 8, [24] = 4, [25] = 8, [26] = 8, [27] = 4,
}

local function collect(range)
  local values, lists = {}, { [16] = {}, [48] = {} }
  local whole = each(range, function(number, value)
    if lists[number] then
      table.insert(lists[number], value)
    elseif not sizes[number] or sizes[number] == value:len() then
      values[number] = value
    end
  end)
  return values, lists, whole
end

local function add_numbers(tree, values, which)
  for _, entry in ipairs(which) do
    local value = values[entry[1]]
    if value then
      tree:add_le(entry[2], value)
    end
  end
end

local function text_of(value)
  return value:string(ENC_UTF_8)
end

local function add_text(tree, field, value)
  return tree:add(field, value, text_of(value))
end

-- A text of several lines: the first one stands for all, the others below it.
local function add_lines(tree, field, value)
  local text = text_of(value)
  local item = tree:add(field, value, text)
  local first, rest = text:match("^([^\n]*)\n(.*)$")
  if first then
    item:set_text("TL: " .. first)
    for line in rest:gmatch("[^\n]+") do
      item:add(value, line)
    end
  end
end

local function note(tree, range, values)
  local layer, subject = values[49], values[50]
  local words = subject and text_of(subject) or ""
  local whole = values[51] and (words .. ": " .. text_of(values[51])) or words
  local item = tree:add(range, whole)
  if layer then
    add_text(item, f.note_layer, layer)
  end
  if subject then
    add_text(item, f.note_subject, subject)
  end
  if values[51] then
    add_text(item, f.note_details, values[51])
  end
  if words:find("^check failed") then
    item:add_proto_expert_info(refused, words)
  end
  return whole
end

local function message(tree, range, values, number)
  local constructor = values[20] and name_of(values[20]:le_uint()) or "message"
  local method = values[24] and name_of(values[24]:le_uint())
  local label = constructor
  if values[25] then
    label = "answer to " .. (method or "a request that was not seen")
  elseif method then
    label = method
  end
  local item = tree:add(range, "Message: " .. label)
  local msg_id = values[17]
  if msg_id then
    item:add_le(f.msg_id, msg_id)
    local low, high = msg_id(0, 4):le_uint(), msg_id(4, 4):le_uint()
    item:add(f.msg_time, msg_id, NSTime.new(high, math.floor(low / 4294967296 * 1000000000))):set_generated()
  end
  add_numbers(item, values, { { 18, f.seq_no }, { 19, f.body_length }, { 20, f.constructor } })
  if values[20] then
    item:add(f.name, values[20], constructor)
  end
  add_numbers(item, values, { { 21, f.container } })
  if method then
    item:add(f.method, values[24], method)
    if msg_id and not values[25] then
      requests[tostring(msg_id:le_uint64())] = number
    end
  end
  if values[25] then
    item:add_le(f.req_msg_id, values[25])
    local request = requests[tostring(values[25]:le_uint64())]
    if request then
      item:add(f.request_in, request):set_generated()
    end
  end
  if values[26] then
    local seconds = values[26]:le_uint64():tonumber() / 1000000000
    item:add(f.latency, values[26], seconds)
    label = string.format("%s (%.1f ms)", label, seconds * 1000)
  end
  if values[27] then
    item:add_le(f.error_code, values[27])
  end
  if values[28] then
    local text = text_of(values[28])
    add_text(item, f.error_text, values[28])
    item:add_proto_expert_info(failed, text)
    label = label .. " " .. text
  end
  if values[23] then
    add_lines(item, f.tl, values[23])
  end
  if values[22] then
    item:add(f.body, values[22])
  end
  return item, label
end

function mtproto.dissector(buffer, pinfo, root)
  pinfo.cols.protocol = "MTProto"
  local tree = root:add(mtproto, buffer())
  if buffer:len() < 12 or buffer(0, 1):uint() ~= VERSION then
    tree:add_proto_expert_info(malformed, "not version " .. VERSION .. " of the format")
    return buffer:len()
  end
  local kind, way = buffer(1, 1):uint(), buffer(2, 1):uint()
  local conn, dc = buffer(4, 4):le_uint(), buffer(8, 4):le_int()
  tree:add(f.version, buffer(0, 1))
  tree:add(f.direction, buffer(2, 1))
  tree:add(f.shown, buffer(3, 1))
  tree:add_le(f.conn, buffer(4, 4))
  tree:add_le(f.dc, buffer(8, 4))
  local client, server = "client #" .. conn, dc == 0 and "server" or ("DC" .. dc)
  -- Where the addresses are not known.
  local src = tostring(pinfo.src)
  if src == "" or src == "NONE" then
    pinfo.cols.src = way == 2 and server or client
    pinfo.cols.dst = way == 2 and client or (way == 1 and server or "")
  end
  if buffer:len() == 12 then
    return 12
  end
  local range = buffer(12)
  local values, lists, whole = collect(range)
  local summary = {}
  if kind == KIND_EVENT then
    summary[1] = note(tree, range, values)
  else
    if values[1] then
      add_text(tree, f.transport, values[1])
    end
    add_numbers(tree, values, {
      { 2, f.auth_key_id }, { 3, f.length }, { 4, f.msg_key }, { 5, f.salt }, { 6, f.session_id }, { 7, f.padding },
      { 8, f.quick_ack },
    })
    local places = {}
    for _, part in ipairs(lists[16]) do
      local fields, _, complete = collect(part)
      local inside = fields[21] and places[tostring(fields[21]:le_uint64())]
      local item, label = message(inside or tree, part, fields, pinfo.number)
      if fields[17] then
        places[tostring(fields[17]:le_uint64())] = item
      end
      if not complete then
        item:add_proto_expert_info(malformed)
      end
      -- What is in a container says more than that it is one.
      if fields[22] then
        table.insert(summary, label)
      end
    end
    for _, part in ipairs(lists[48]) do
      note(tree, part, (collect(part)))
    end
    if values[2] and not values[6] then
      table.insert(summary, "encrypted with " .. tostring(values[2]:le_uint64():tohex()) .. ", not opened")
    end
  end
  if not whole then
    tree:add_proto_expert_info(malformed)
  end
  local marks = { [0] = "", [1] = "→ ", [2] = "← " }
  pinfo.cols.info = (marks[way] or "") .. table.concat(summary, ", ")
  tree:append_text(string.format(", #%d, %s", conn, directions[way] or "?"))
  return buffer:len()
end

// node short-names.mjs FILE.wasm: cuts the names of functions in its "name" section at 80 bytes. They are there so that a
// trace can be read, which the rest of a generic function's name does not help, and it is deployed and counted with the Worker.
//
// The sections of a module, and "name" as one of them: https://webassembly.github.io/spec/core/appendix/custom.html#name-section
import { readFileSync, writeFileSync } from "node:fs";

const LONGEST = 80;
const [file] = process.argv.slice(2);
const wasm = readFileSync(file);

/** An unsigned LEB128 at `at`, and where the next thing begins. */
function number(at) {
  let value = 0, shift = 0;
  for (;;) {
    const byte = wasm[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
    shift += 7;
  }
}

function leb128(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Buffer.from([...bytes, value]);
}

/** Length and content, as sections, names and vectors have them. */
const sized = (...parts) => {
  const content = Buffer.concat(parts);
  return [leb128(content.length), content];
};

/** Names are UTF-8: a character is not cut in two. */
function cut(name) {
  let end = Math.min(name.length, LONGEST);
  while (end < name.length && (name[end] & 0xc0) === 0x80) end--;
  return name.subarray(0, end);
}

/** A vector of index and name, which begins at `at`. */
function shortened(at) {
  let count, index, length;
  [count, at] = number(at);
  const parts = [leb128(count)];
  while (count-- > 0) {
    [index, at] = number(at);
    [length, at] = number(at);
    parts.push(leb128(index), ...sized(cut(wasm.subarray(at, at + length))));
    at += length;
  }
  return parts;
}

/** What lies between `from` and `to`, a run of ids with sized content, with the content of some of them replaced. */
function replaced(from, to, content) {
  const parts = [];
  for (let at = from, begin, length; at < to; at = begin + length) {
    const id = wasm[at];
    [length, begin] = number(at + 1);
    const instead = content(id, begin, begin + length);
    parts.push(instead ? Buffer.concat([Buffer.from([id]), ...sized(...instead)]) : wasm.subarray(at, begin + length));
  }
  return parts;
}

const HEADER = 8, CUSTOM = 0, FUNCTION_NAMES = 1;
const sections = replaced(HEADER, wasm.length, (id, from, to) => {
  if (id !== CUSTOM) return;
  const [length, at] = number(from);
  if (wasm.toString("latin1", at, at + length) !== "name") return;
  return [wasm.subarray(from, at + length), ...replaced(at + length, to, (kind, begin) => (kind === FUNCTION_NAMES ? shortened(begin) : undefined))];
});
writeFileSync(file, Buffer.concat([wasm.subarray(0, HEADER), ...sections]));

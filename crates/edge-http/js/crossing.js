// What crosses between JavaScript and wasm for one request.

// In: a text, encoded natively and copied once. (A string that wasm-bindgen takes in is read character by character.)
const encoder = new TextEncoder();
export const utf8 = (text) => encoder.encode(text);

// In: "METHOD\nURL", then "\nname\nvalue" for each header. None of the four can hold a line feed: the URL parser strips it,
// Headers refuses it.
export function head(request) {
  let text = request.method + "\n" + request.url;
  request.headers.forEach((value, name) => { text += "\n" + name + "\n" + value; });
  return utf8(text);
}

// Out: `text` is "name\nvalue\n" for each header, repeats kept. Response copies `body`, so a view of wasm memory is safe.
// (Headers set afterwards cost the runtime half of what the same ones cost in an initialiser.)
export function respond(status, text, body) {
  const response = new Response(body, status === 200 ? undefined : { status });
  for (const [name, value] of pairs(text)) response.headers.append(name, value);
  return response;
}

// Out: a response that JavaScript already has, its body untouched, with the headers that Rust set.
export function amend(response, text) {
  const out = new Response(response.body, response);
  for (const [name, value] of pairs(text)) {
    if (name === "set-cookie") out.headers.append(name, value);
    else out.headers.set(name, value);
  }
  return out;
}

// Out: a request to another Worker. Its body is copied as `respond`'s is; a redirect is an answer.
export function call(service, method, url, text, body) {
  const headers = new Headers();
  for (const [name, value] of pairs(text)) headers.append(name, value);
  return service.fetch(url, { method, headers, body, redirect: "manual" });
}

function pairs(text) {
  const parts = text.split("\n"), out = [];
  for (let i = 0; i + 1 < parts.length; i += 2) out.push([parts[i], parts[i + 1]]);
  return out;
}

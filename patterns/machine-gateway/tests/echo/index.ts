export default {
  fetch: async (request: Request) =>
    Response.json({ url: request.url, method: request.method, headers: Object.fromEntries(request.headers), body: await request.text() }),
};

import { FROM_EDGE, type Measured } from "../pattern.ts";

const headers = { ...FROM_EDGE, "user-agent": "curl/8.14.1", accept: "*/*" };
const signUp = (plan: string) => ({ method: "POST", path: "/signups", headers: { ...headers, "content-type": "application/json" },
  body: JSON.stringify({ team: "acme", plan }) });
const plan = (name: string) => ({ method: "GET", path: `/plans/${name}`, headers });

export const measured = async (): Promise<Measured> => ({
  routes: [
    { name: "GET /plans/{name}", ...plan("team"), refused: async () => [plan("NOBODY")] },
    { name: "GET /plans/{name}, 404", ...plan("gold"), status: 404 },
    // The same team again, so that no row is added: the thousandth costs what the first did.
    { name: "POST /signups", ...signUp("team"), status: 201, refused: async () => [signUp("free")] },
  ],
});

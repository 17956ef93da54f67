// The binding calls that tiny-api makes for these requests, and nothing else.
const SQL = `INSERT INTO signups (team, plan) VALUES (?1, ?2)
  ON CONFLICT (team) DO UPDATE SET plan = plan WHERE plan = excluded.plan RETURNING team`;

export default {
  async fetch(request, { PLANS, DB }) {
    if (request.method === "POST") {
      await PLANS.get("team");
      await DB.prepare(SQL).bind("acme", "team").first("team");
      return new Response('{"team":"acme","plan":"team"}', { status: 201 });
    }
    const plan = await PLANS.get(request.url.endsWith("/gold") ? "gold" : "team");
    return new Response(plan, { status: plan ? 200 : 404 });
  },
};

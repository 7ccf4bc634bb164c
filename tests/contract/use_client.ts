// What a customer writes with openapi-typescript and openapi-fetch. Run by the tests: `node use_client.js happy|future URL KEY`.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { argv: string[] };
const [, , story, baseUrl, key] = process.argv as [string, string, string, string, string];
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

function check(right: boolean, what: string): asserts right {
  if (!right) throw new Error(what);
}

async function happy(): Promise<void> {
  const me = await client.GET("/v1/me");
  check(me.data?.permissions.includes("departments:write") === true, "me");
  const body: components["schemas"]["NewListener"] = {
    network: "simulator",
    name: "Deliveries",
    words: ["Lieferung"],
    purpose: "Answer questions about us",
    legal_basis: "Art. 6(1)(f): legitimate interest",
    settings: { seed: 3 },
  };
  const made = await client.POST("/v1/listeners", { body });
  check(made.data !== undefined, JSON.stringify(made.error));
  const found = await client.GET("/v1/listeners/{listener_id}", { params: { path: { listener_id: made.data.id } } });
  check(found.data?.name === "Deliveries", "listener");
  const gone = await client.GET("/v1/mentions/{mention_id}", { params: { path: { mention_id: made.data.id } } });
  check(gone.error?.code === "not_found", "problem");
  const page = await client.GET("/v1/mentions", { params: { query: { q: "network:feeds", limit: 5 } } });
  check(page.data?.items.length === 0, "mentions");
}

async function future(): Promise<void> {
  const mentions = await client.GET("/v1/mentions");
  const first = mentions.data?.items[0];
  check(first !== undefined && first.network === "from-the-future" && first.state === "from-the-future", "mentions");
  for (const path of ["/v1/channels", "/v1/events", "/v1/operations", "/v1/jobs"] as const) {
    const answer = await client.GET(path);
    check(answer.data !== undefined && answer.data.items.length === 1, path);
  }
}

await (story === "happy" ? happy() : future());

// A back end whose pages talk to Headwater themselves: it says who is logged in, and mints that user a token. It proxies nothing.
import { randomUUID } from "node:crypto";
import express from "express";

const cookie = "session";

/** The application. `hw` is a client with the tenant's secret key, which never leaves this process. */
export function makeApp(hw) {
  const app = express();
  // Who is logged in, by session. Yours is in a database.
  const sessions = new Map();

  // Stands for your own login, which asks for a password.
  app.post("/login", express.json(), (req, res) => {
    const user = req.body?.user;
    if (typeof user !== "string" || !/^[a-z]{1,32}$/.test(user)) return res.status(400).end();
    const session = randomUUID();
    sessions.set(session, user);
    // SameSite keeps other sites' pages from asking for tokens in this user's name.
    res.cookie(cookie, session, { httpOnly: true, sameSite: "strict", secure: req.secure }).status(204).end();
  });

  app.post("/headwater-token", async (req, res) => {
    const session = req.headers.cookie?.match(/(?:^|; )session=([^;]+)/)?.[1];
    const user = sessions.get(session);
    if (user === undefined) return res.status(401).end();
    const { token, expires_at } = await hw.userTokens.create({
      user,
      ttl_ms: 15 * 60_000,
      agents: ["assistant"],
    });
    res.set("cache-control", "no-store").json({ token, expires_at });
  });

  return app;
}

import { Headwater } from "headwater";
import { defineConfig } from "vite";

const {
  HEADWATER_URL: baseUrl,
  HEADWATER_API_KEY: apiKey,
  HEADWATER_AGENT: agent = "assistant",
} = process.env;

/** Stands for your back end, which knows who is logged in: see ../express. */
function tokens() {
  return {
    name: "headwater-tokens",
    configureServer({ middlewares }) {
      const hw = new Headwater({ baseUrl, apiKey });
      middlewares.use("/headwater-token", (req, res, next) => {
        if (req.method !== "POST") return next();
        hw.userTokens
          .create({ user: "alice" })
          .then(
            ({ token }) => res.setHeader("content-type", "application/json").end(JSON.stringify({ token })),
            next,
          );
      });
    },
  };
}

export default defineConfig({
  plugins: [tokens()],
  // What the page may know: where Headwater is, and whom to ask. The key is not among it.
  define: { __HEADWATER__: JSON.stringify({ url: baseUrl ?? "", agent }) },
});

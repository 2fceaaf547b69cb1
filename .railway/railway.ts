// Headwater on Railway, asleep while nobody talks: docs/deploy/railway.md. For `railway config plan` and `railway config apply`.
//
// What is not in here is taken away when this is applied, variables included: a variable that was set elsewhere is kept with
// `preserve()`. railway.json says the same of the service `headwater`, and deploy/check.mjs compares the two. For that it reads
// this file as JavaScript: no types are written here, and nothing is taken from the argument of `defineRailway`. What is wrong
// with the types that are not written, `deploy/check.mjs --types` says.
import { defineRailway, postgres, preserve, project, service } from "railway/iac";

export default defineRailway(() => {
  const database = postgres("postgres");

  const server = service("headwater", {
    build: { builder: "DOCKERFILE", dockerfilePath: "Dockerfile" },
    deploy: {
      // Takes the place of the image's entry point, without a shell.
      startCommand: "headwater serve",
      preDeployCommand: ["headwater migrate"],
      // Not /healthz, which a process answers that cannot reach its database. Asked when it is deployed, and never again.
      healthcheckPath: "/readyz",
      healthcheckTimeout: 120,
      // Always on: false, as many replicas as there should be, and no HEADWATER__PROFILE below.
      sleepApplication: true,
      numReplicas: 1,
      // Longer than `server.drain_ms`. Railway itself would kill at once.
      drainingSeconds: 30,
      overlapSeconds: 10,
      restartPolicyType: "ON_FAILURE",
      restartPolicyMaxRetries: 10,
    },
    env: {
      DATABASE_URL: database.env.DATABASE_URL,
      DATABASE_DIRECT_URL: database.env.DATABASE_URL,
      HEADWATER__PROFILE: "railway",
      // Railway would give one, but the waker has to know it.
      PORT: "8080",
      HEADWATER_MASTER_KEY: preserve(),
      HEADWATER_OPERATOR_KEY: preserve(),
      HEADWATER_SECRETS_KEY: preserve(),
      HEADWATER_OLD_SECRETS_KEY: preserve(),
      OPENAI_API_KEY: preserve(),
      ANTHROPIC_API_KEY: preserve(),
    },
  });

  // Asks the database whether something is due, and wakes the server only then. Not needed where nothing sleeps.
  const waker = service("waker", {
    build: { builder: "DOCKERFILE", dockerfilePath: "Dockerfile" },
    deploy: {
      startCommand: "headwater wake",
      cronSchedule: "*/10 * * * *",
      restartPolicyType: "NEVER",
    },
    env: {
      HEADWATER_URL: "http://${{headwater.RAILWAY_PRIVATE_DOMAIN}}:8080",
      // The two lines that `headwater wake --secrets` prints.
      DATABASE_WAKE_URL: preserve(),
      HEADWATER_WAKE_KEY: preserve(),
    },
  });

  return project("headwater", { resources: [database, server, waker] });
});

/** Before all tests: things to look at, and a run of more than ten thousand events, which takes minutes and goes on beside the others. */
import type { TestProject } from "vitest/node";
import { api } from "./harness.ts";
import { seed } from "./seed.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** A run that will have more than ten thousand events. */
    bigRun: string;
  }
}

/** An id in the environment spares the minutes while tests are written. */
export default async function setup(project: TestProject): Promise<void> {
  await seed();
  const known = process.env["HEADWATER_BIG_RUN"];
  const run =
    known ??
    (await api.runs.create({ agent: "assistant", input: "Count far", model: "scripted/tokens-13000x20" })).id;
  project.provide("bigRun", run);
}

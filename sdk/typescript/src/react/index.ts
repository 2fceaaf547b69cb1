"use client";
/** React hooks for Headwater: `HeadwaterProvider`, `useRun`, `useThread`, `useApprovals`. */
export * from "./hooks.js";
export type { ApprovalsState } from "./approvals-store.js";
export type { RunState } from "./run-store.js";
export type { SendOptions, ThreadOptions } from "./thread-store.js";

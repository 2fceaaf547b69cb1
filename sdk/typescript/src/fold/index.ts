export * from "./view.js";
export { foldEvent, foldRun } from "./fold.js";
export { messageOf, viewOfSnapshot, viewsOfMessages } from "./snapshot.js";

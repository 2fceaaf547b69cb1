// Ends with an error that says so unless the named environment variables are set: tests that need a server never pass by not running.
const missing = process.argv.slice(2).filter((name) => !process.env[name]);
if (missing.length > 0) {
  console.error(`set ${missing.join(" and ")} to run these tests`);
  process.exit(1);
}

// HEADWATER_URL=… HEADWATER_API_KEY=… npm start
import { Headwater } from "headwater";
import { makeApp } from "./app.js";

const hw = new Headwater({ baseUrl: process.env.HEADWATER_URL, apiKey: process.env.HEADWATER_API_KEY });
const server = makeApp(hw).listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});

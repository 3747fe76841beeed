// The journey of benches/flow.py: VUS users repeat its three steps for SECONDS.
import http from "k6/http";
import { check } from "k6";

const base = __ENV.TARGET;
const json = { headers: { "Content-Type": "application/json" } };

export const options = {
  noUsageReport: true,
  scenarios: {
    flow: {
      executor: "constant-vus",
      vus: Number(__ENV.VUS),
      duration: `${__ENV.SECONDS}s`,
      gracefulStop: "0s",
    },
  },
};

export default function () {
  const list = http.get(`${base}/products`, { tags: { name: "list" } });
  check(list, { "status is 200": (response) => response.status === 200 });
  const product = list.json().items[1].id;

  const open = http.get(`${base}/products/${product}`, { tags: { name: "open" } });
  const opened = open.json();
  check(opened, { "is available": (body) => ["new", "open"].includes(body.state) });

  const order = http.post(`${base}/orders`, JSON.stringify({ product, coupon: opened.coupon }), {
    ...json,
    tags: { name: "order" },
  });
  check(order, { "has a total": (response) => response.json().total >= 0 });
}

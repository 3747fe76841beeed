// A closed load of VUS users (each with BATCH requests at once), or RATE arrivals per second with at most VUS users.
import http from "k6/http";

const rate = Number(__ENV.RATE || 0);
const users = Number(__ENV.VUS);
const batch = Number(__ENV.BATCH || 1);
const duration = `${__ENV.SECONDS}s`;

export const options = {
  discardResponseBodies: true,
  batch,
  batchPerHost: batch,
  insecureSkipTLSVerify: true,
  noUsageReport: true,
  summaryTrendStats: ["min", "med", "p(90)", "p(99)", "p(99.9)", "max"],
  scenarios: {
    load: rate
      ? {
          executor: "constant-arrival-rate",
          rate,
          timeUnit: "1s",
          duration,
          preAllocatedVUs: users,
          maxVUs: users,
          gracefulStop: "5s",
        }
      : { executor: "constant-vus", vus: users, duration, gracefulStop: "0s" },
  },
};

const requests = Array.from({ length: batch }, () => ["GET", __ENV.TARGET]);

export default function () {
  if (batch > 1) {
    http.batch(requests);
  } else {
    http.get(__ENV.TARGET);
  }
}

export function handleSummary(data) {
  return { stdout: JSON.stringify(data.metrics) };
}

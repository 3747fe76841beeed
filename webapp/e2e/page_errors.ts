// Runs before each file of tests: a test fails when one of its pages recorded an error.
import { afterEach, expect } from "vitest";

import { closed } from "./browser";

afterEach(async () => {
    expect(await closed()).toEqual([]);
});

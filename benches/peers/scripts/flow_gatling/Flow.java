import static io.gatling.javaapi.core.CoreDsl.*;
import static io.gatling.javaapi.http.HttpDsl.*;

import io.gatling.javaapi.core.ChainBuilder;
import io.gatling.javaapi.core.Simulation;
import java.time.Duration;

/** The journey of benches/flow.py: TARGET, USERS and SECONDS come from the environment. */
public class Flow extends Simulation {
  private static String setting(String name) {
    return System.getenv(name);
  }

  private final ChainBuilder journey =
      exec(
          http("list")
              .get("/products")
              .check(status().is(200), jsonPath("$.items[1].id").saveAs("product")),
          http("open")
              .get("/products/#{product}")
              .check(jsonPath("$.state").in("new", "open"), jsonPath("$.coupon").saveAs("coupon")),
          http("order")
              .post("/orders")
              .body(StringBody("{\"product\":#{product},\"coupon\":\"#{coupon}\"}"))
              .asJson()
              .check(jsonPath("$.total").ofDouble().gte(0.0)));

  {
    setUp(
            scenario("shop")
                .during(Duration.ofSeconds(Long.parseLong(setting("SECONDS"))))
                .on(journey)
                .injectOpen(atOnceUsers(Integer.parseInt(setting("USERS")))))
        .protocols(http.baseUrl(setting("TARGET")).acceptHeader("*/*"));
  }
}

//! The journey of benches/flow.py: users repeat its three steps; how many and how long is on the command line.

use goose::goose::GooseResponse;
use goose::prelude::*;
use serde_json::{json, Value};

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    let flow = scenario!("flow").register_transaction(transaction!(journey));
    GooseAttack::initialize()?.register_scenario(flow).execute().await?;
    Ok(())
}

async fn journey(user: &mut GooseUser) -> TransactionResult {
    let list = user.get_named("/products", "list").await?;
    let (status, body) = answer(list).await;
    if !check(user, "list", status == 200).await? {
        return Ok(());
    }
    let product = body["items"][1]["id"].clone();

    let open = user.get_named(&format!("/products/{product}"), "open").await?;
    let (_, body) = answer(open).await;
    if !check(user, "open", ["new", "open"].contains(&body["state"].as_str().unwrap_or_default())).await? {
        return Ok(());
    }
    let coupon = body["coupon"].clone();

    let order = json!({"product": product, "coupon": coupon});
    let order = user.post_json("/orders", &order).await?;
    let (_, body) = answer(order).await;
    check(user, "order", body["total"].as_f64().is_some_and(|total| total >= 0.0)).await?;
    Ok(())
}

/// The status and the JSON of an answer; 0 and null without one.
async fn answer(goose: GooseResponse) -> (u16, Value) {
    let Ok(response) = goose.response else { return (0, Value::Null) };
    (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
}

async fn check(user: &GooseUser, step: &str, holds: bool) -> Result<bool, Box<TransactionError>> {
    if !holds {
        user.log_debug(&format!("{step}: the check failed"), None, None, None)?;
    }
    Ok(holds)
}

//! What a request has to be, and what is wrong with one that is not.

use serde_json::Value;

use super::Request;

/// Compares a request with what its script says of it. `before`: the one before it in the same play.
pub(crate) fn complaints(asked: &Value, request: &Request, before: Option<&Request>, run: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut is = |what: &str, due: &str, got: &str| {
        if due != got {
            complaints.push(format!("{what} is {got:?}, not {due:?}"));
        }
    };
    let header = |name: &str| request.header(name).unwrap_or_default();
    for (field, due) in asked.as_object().into_iter().flatten() {
        let text = due.as_str().unwrap_or_default().replace("{run}", run);
        match field.as_str() {
            "method" => is("the method", &text, &request.method),
            "path" => is("the path", &text, &request.path),
            "query" => is("the query", &text, &request.query),
            "accept" | "authorization" => is(field, &text, header(field)),
            // Padded or not; none is the same as 0.
            "last_event_id" => {
                let got = header("last-event-id").trim_start_matches('0');
                is(
                    "last-event-id",
                    &due.as_u64().filter(|due| *due > 0).map_or(String::new(), |due| due.to_string()),
                    got,
                );
            }
            "idempotent" => {
                is("whether there is an idempotency-key", "true", &(!header("idempotency-key").is_empty()).to_string())
            }
            "same_as_before" => {
                let of = |request: &Request| {
                    let key = request.header("idempotency-key").unwrap_or_default().to_owned();
                    (request.method.clone(), request.path.clone(), key, request.body.clone())
                };
                is("the request", &format!("{:?}", before.map(of)), &format!("{:?}", Some(of(request))));
            }
            other => panic!("a script asks for {other}, which is not known here"),
        }
    }
    complaints
}

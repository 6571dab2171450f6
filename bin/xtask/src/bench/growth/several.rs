//! More connections than one process may have: several servers hold them.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::figure;

/// How many connections each of several servers has, when none may have more than `most`.
pub fn shares(connections: u64, most: u64) -> Result<Vec<u64>> {
    ensure!(most > 0, "the limit of open files is too low");
    let servers = connections.div_ceil(most);
    let all = 0..servers;
    // the first ones have what is left over
    Ok(all
        .map(|nth| connections / servers + u64::from(nth < connections % servers))
        .collect())
}

/// What several servers took at the same time, as if it were one.
pub fn together(held: Vec<Value>) -> Result<Value> {
    const SUMS: [&str; 8] = [
        "/connections",
        "/connections_per_s",
        "/refused",
        "/closed_while_idle",
        "/server_cores_idle",
        "/server_resident_kib/before",
        "/server_resident_kib/open",
        "/server_resident_kib/held",
    ];
    let mut held = held.into_iter();
    let mut all = held.next().context("no server")?;
    let rest: Vec<Value> = held.collect();
    if rest.is_empty() {
        return Ok(all);
    }
    let row = &mut all["results"][0];
    for pointer in SUMS {
        let mut sum = figure(row, pointer)?;
        for more in &rest {
            sum += figure(&more["results"][0], pointer)?;
        }
        if let Some(place) = row.pointer_mut(pointer) {
            *place = json!(sum);
        }
    }
    let grown =
        figure(row, "/server_resident_kib/held")? - figure(row, "/server_resident_kib/before")?;
    let each = grown / figure(row, "/connections")?;
    row["server_kib_per_connection"] = json!(each);
    row["servers"] = json!(rest.len() + 1);
    // of one server only
    if let Some(row) = row.as_object_mut() {
        row.remove("open_ms");
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_server_has_more_than_it_may() {
        assert_eq!(shares(1_000, 1_000).unwrap(), [1_000]);
        assert_eq!(shares(1_001, 1_000).unwrap(), [501, 500]);
        assert_eq!(shares(50_000, 19_500).unwrap(), [16_667, 16_667, 16_666]);
        assert_eq!(shares(50_000, u64::MAX).unwrap(), [50_000]);
        assert!(shares(1, 0).is_err());
    }

    fn held(connections: u64, before: u64, after: u64) -> Value {
        json!({"workload": "connect", "results": [{
            "connections": connections, "connections_per_s": 10.5, "refused": 0, "closed_while_idle": 0,
            "open_ms": {"p50": 1.0}, "server_cores_idle": 0.25, "server_kib_per_connection": 0.0,
            "server_resident_kib": {"before": before, "open": after, "held": after},
        }]})
    }

    #[test]
    fn what_several_servers_took_is_added_up() {
        let all = together(vec![held(30, 100, 400), held(20, 100, 200)]).unwrap();
        let row = &all["results"][0];
        assert_eq!(row["connections"], json!(50.0));
        assert_eq!(row["server_resident_kib"]["held"], json!(600.0));
        assert_eq!(row["server_kib_per_connection"], json!(8.0));
        assert_eq!(row["server_cores_idle"], json!(0.5));
        assert_eq!((&row["servers"], row.get("open_ms")), (&json!(2), None));

        let one = held(30, 100, 400);
        assert_eq!(together(vec![one.clone()]).unwrap(), one);
    }
}

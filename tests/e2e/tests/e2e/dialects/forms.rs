//! Forms with files, written by hand: what is in them is up to the test.

use connexus_e2e::{Http, Reply, TestApp};
use reqwest::Method;

/// A picture of one pixel.
pub const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0,
    1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 13, b'I', b'D', b'A', b'T',
    0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0, 0xf0, 0x1f, 0, 5, 0, 1, 0xff, 0x89, 0x99, 0x3d, 0x1d, 0, 0,
    0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

const BOUNDARY: &str = "----boundary-of-the-test";

/// A part of a form.
pub enum Part<'a> {
    /// Name and value.
    Text(&'a str, &'a str),
    /// What the file is called, and its bytes; the field is `file`.
    File(&'a str, &'a [u8]),
}

/// Sends a form.
pub async fn post_form(http: &Http, path: &str, parts: &[Part<'_>]) -> Reply {
    let mut body = Vec::new();
    for part in parts {
        let (disposition, content) = match part {
            Part::Text(name, text) => (format!("name=\"{name}\""), text.as_bytes()),
            Part::File(name, bytes) => {
                let head = format!("name=\"file\"; filename=\"{name}\"");
                let kind = "\r\nContent-Type: application/octet-stream";
                (format!("{head}{kind}"), *bytes)
            }
        };
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let request = http
        .request(Method::POST, path)
        .header(
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .body(body);
    http.send(request).await
}

/// Fetches what an address shows to a page, which has no token; the address is a whole one.
pub async fn fetched(app: &TestApp, address: &serde_json::Value) -> Reply {
    let address = address.as_str().unwrap();
    let server = format!("http://{}", app.address());
    let path = address.strip_prefix(&server);
    let path = path.unwrap_or_else(|| panic!("{address} is not at {server}"));
    app.anonymous().get(path).await
}

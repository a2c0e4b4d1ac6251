//! The list of ids, page by page.

use reqwest::StatusCode;

use crate::harness::{JsonBody, Server, UNLIMITED, header};

/// The address in a `Link` header to the next page.
fn next_page(link: &str) -> Option<&str> {
    link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")
}

#[tokio::test]
async fn pages_follow_each_other_and_end() {
    let objects = tempfile::tempdir().unwrap();
    let server = Server::start(objects.path(), UNLIMITED);
    // Ids whose file names sort otherwise than they do, and ids too long for a file name.
    let mut ids: Vec<String> = vec!["a", "A", "a b", "a-b", "a/b", "a&b=c", "\u{E9}", "z"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    ids.extend((0..5).map(|number| format!("a/{number}{}", "/x".repeat(200))));
    for id in &ids {
        let path = id.replace('&', "%26").replace(' ', "%20");
        assert_eq!(server.put(&format!("/objs/{path}"), "x").await.status(), StatusCode::CREATED);
    }
    ids.sort_unstable();
    for (prefix, limit) in [("", 1), ("", 3), ("", 13), ("a", 2), ("a/", 4), ("b", 1)] {
        let wanted: Vec<_> = ids.iter().filter(|id| id.starts_with(prefix)).cloned().collect();
        let mut listed = Vec::new();
        let mut next = Some(format!("/?prefix={prefix}&limit={limit}"));
        while let Some(path) = next {
            let page = server.get(&path).await;
            next = next_page(header(&page, "link")).map(|query| format!("/{query}"));
            let page: Vec<String> = page.json_body().await;
            assert!(page.len() == limit || next.is_none());
            listed.extend(page);
        }
        assert_eq!(listed, wanted, "{prefix} {limit}");
    }
}

#[tokio::test]
async fn a_page_has_a_thousand_ids_at_most_and_foreign_files_are_not_listed() {
    let objects = tempfile::tempdir().unwrap();
    let server = Server::start(objects.path(), UNLIMITED);
    server.put("/objs/0000", "x").await;
    let first = std::fs::read(objects.path().join("objects/=0000")).unwrap();
    for number in 1..=1000 {
        let id = format!("{number:04}");
        let file = String::from_utf8_lossy(&first).replace("0000", &id);
        std::fs::write(objects.path().join(format!("objects/={id}")), file).unwrap();
    }
    std::fs::write(objects.path().join("objects/note.txt"), "x").unwrap();
    let page = server.get("/").await;
    assert!(next_page(header(&page, "link")).is_some());
    let page: Vec<String> = page.json_body().await;
    assert_eq!((page.len(), page[999].as_str()), (1000, "0999"));
    let rest = server.get("/?after=0999").await;
    assert_eq!(header(&rest, "link"), "");
    assert_eq!(rest.json_body::<Vec<String>>().await, ["1000"]);
    assert_eq!(server.delete("/").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(server.ids().await, Vec::<String>::new());
    assert!(objects.path().join("objects/note.txt").exists());
}

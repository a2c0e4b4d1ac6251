//! The answer as a page, with a form for the next.

use super::Answer;

/// Renders the page. All that goes in is numbers.
pub(super) fn render(answer: &Answer, max_n: usize) -> String {
    let Answer { n, seed, ms, checksum } = answer;
    format!(
        r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{n} x {n}</title>
<h1>{n} x {n}</h1>
<dl>
<dt>Time</dt><dd>{ms:.3} ms</dd>
<dt>Checksum</dt><dd>{checksum}</dd>
<dt>Seed</dt><dd>{seed}</dd>
</dl>
<form>
<label>n <input name="n" type="number" min="1" max="{max_n}" value="{n}"></label>
<label>seed <input name="seed" inputmode="numeric"></label>
<button>Multiply</button>
</form>
</html>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_the_answer_and_asks_for_the_next() {
        let answer = Answer { n: 7, seed: 42, ms: 1.23456, checksum: 99 };
        insta::assert_snapshot!(render(&answer, 1000), @r#"
        <!doctype html>
        <html lang="en">
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <title>7 x 7</title>
        <h1>7 x 7</h1>
        <dl>
        <dt>Time</dt><dd>1.235 ms</dd>
        <dt>Checksum</dt><dd>99</dd>
        <dt>Seed</dt><dd>42</dd>
        </dl>
        <form>
        <label>n <input name="n" type="number" min="1" max="1000" value="7"></label>
        <label>seed <input name="seed" inputmode="numeric"></label>
        <button>Multiply</button>
        </form>
        </html>
        "#);
    }
}

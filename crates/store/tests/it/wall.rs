//! The wall: the lint that guards its rules, and controls that show the lint can fail.

use headwater_testkit::Database;
use headwater_testkit::database::PREFIX;

#[tokio::test]
async fn a_fresh_database_breaks_no_rule() {
    let database = Database::fresh().await;
    let store = database.store();
    assert_eq!(store.lint(PREFIX).await.expect("lints"), vec![]);
    assert_eq!(store.check_role().await.expect("looks at its role"), Ok(()));
}

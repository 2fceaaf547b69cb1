//! What is shown to a model, as OpenAI's dialects take it.

use base64::display::Base64Display;
use serde::{Serialize, Serializer};

use crate::request::Attachment;

/// `data:…;base64,…`. Written as it is encoded: a picture is not held once more for that.
pub(super) struct DataUrl<'a>(pub(super) &'a Attachment);

impl Serialize for DataUrl<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let content = Base64Display::new(&self.0.content, &base64::engine::general_purpose::STANDARD);
        serializer.collect_str(&format_args!("data:{};base64,{content}", self.0.media_type))
    }
}

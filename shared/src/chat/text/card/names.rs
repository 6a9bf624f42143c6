//! The names of a card's members: the order in which they are read, and the names that no reader sees.

/// The members that hold texts and parts in cards of all kinds, in the order in which cards show them. Any other member
/// comes after these, in alphabetical order.
pub(super) const ORDER: [&str; 44] = [
    "title",
    "subtitle",
    "summary",
    "activityTitle",
    "activitySubtitle",
    "activityText",
    "text",
    "label",
    "description",
    "placeholder",
    "value",
    "images",
    "image",
    "heroImage",
    "body",
    "columns",
    "rows",
    "cells",
    "pages",
    "facts",
    "items",
    "quantity",
    "price",
    "sections",
    "inlines",
    "choices",
    "inputs",
    "media",
    "sources",
    "captionSources",
    "poster",
    "data",
    "vat",
    "tax",
    "total",
    "tap",
    "selectAction",
    "inlineAction",
    "card",
    "actions",
    "buttons",
    "potentialAction",
    "content",
    "attachments",
];

/// Members that hold amounts, with the name that makes each understood.
pub(super) const AMOUNTS: [(&str, &str); 5] =
    [("price", "Price"), ("quantity", "Quantity"), ("vat", "VAT"), ("tax", "Tax"), ("total", "Total")];

/// Members that no reader sees, nor any link in them.
pub(super) const UNSEEN: [&str; 7] =
    ["$schema", "@context", "@odata.type", "@odata.context", "fallback", "fallbackText", "speak"];

/// Ids, layout and the data that a press sends. Their words are not words of the message; a link in them may be where a
/// press leads.
pub(super) const SILENT: &str = "\
    type @type @id id version lang rtl style size weight color wrap maxLines fontType isSubtle italic strikethrough \
    highlight underline spacing separator bleed height width minHeight maxHeight minWidth maxWidth pixelWidth \
    pixelHeight heightInPixels horizontalAlignment verticalAlignment verticalContentAlignment \
    verticalCellContentAlignment horizontalCellContentAlignment targetWidth grid.area layout layouts requires mode \
    isVisible isEnabled isRequired isMultiSelect isMultiline inputStyle labelPosition labelWidth regex min max \
    maxLength valueOn valueOff verb associatedInputs conditionallyEnabled targetElements userIds gridStyle \
    showGridLines firstRowAsHeader firstRowAsHeaders roundedCorners showBorder shape appearance iconPosition iconSize \
    allowCrop fillMode imageSize imageStyle imageType startLineNumber language mimeType pageAnimation orientation \
    initialPage loop timer colorSet valueFormat showLegend showBarValues displayMode stacked role labelFor os profile \
    aspect autostart autoloop autoplay shareable contentType attachmentLayout cardImageType themeColor correlationId \
    originator startGroup hideOriginalBody expectedActors view markdown refresh metadata msteams entities channelData \
    connectionName tokenExchangeResource choices.data dataset sourceType bodyContentType headers method repeat repeatMode";

/// The kinds of elements that say nothing by themselves.
pub(super) const SILENT_ELEMENTS: &str = "\
    AdaptiveCard TextBlock RichTextBlock TextRun CitationRun Container ColumnSet Column FactSet Fact ImageSet Image Table \
    TableRow TableCell ActionSet Carousel CarouselPage Accordion Badge CompoundButton Component CodeBlock Media \
    MediaSource CaptionSource Input.Text Input.Number Input.Date Input.Time Input.Toggle Input.ChoiceSet Input.Choice \
    Input.Rating MessageCard ReceiptCard HeroCard ThumbnailCard TextInput DateInput MultichoiceInput message section \
    resultItem person file separator List ListItem";

/// The kinds of buttons of a Bot Framework card. The data that such a button sends is not text of the message.
pub(super) const CARD_ACTIONS: &str =
    "openUrl imBack postBack playAudio playVideo showImage downloadFile signin call messageBack invoke openApp payment";

/// Whether a list of names, separated by spaces, has this name.
pub(super) fn has(names: &str, name: &str) -> bool {
    names.split_ascii_whitespace().any(|other| other == name)
}

/// Whether the address under this name is that of a picture.
pub(super) fn is_of_a_picture(name: &str) -> bool {
    const PICTURES: [&str; 8] = ["image", "icon", "poster", "thumbnail", "photo", "logo", "avatar", "picture"];
    let name = name.to_ascii_lowercase();
    PICTURES.iter().any(|picture| name.contains(picture))
}

//! The app's icons, drawn: a bridge in a speech bubble. The drawing is made for 32 units, and scaled.
//!
//! Teams takes no other sizes, wants the colored one filled to its edges with the sign within the middle 120 pixels, and
//! the outline in white on nothing.

use tiny_skia::{Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke, Transform};

use crate::Trouble;

/// The name of the colored icon in the package.
pub(crate) const COLOR: &str = "color.png";

/// The name of the outline in the package.
pub(crate) const OUTLINE: &str = "outline.png";

/// The color of the app: red, green, blue.
const ACCENT: [u8; 3] = [0x1f, 0x5a, 0x7a];

const WHITE: [u8; 3] = [0xff; 3];

/// The units of the drawing, along one side.
const UNITS: f32 = 32.0;

/// The color of the app as the manifest writes it, `#RRGGBB`.
pub(crate) fn accent() -> String {
    let [red, green, blue] = ACCENT;
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// The colored icon, a PNG of 192 pixels by 192.
///
/// # Errors
/// When it cannot be drawn or encoded.
pub(crate) fn color() -> Result<Vec<u8>, Trouble> {
    drawn(192, |canvas| {
        let [red, green, blue] = ACCENT;
        canvas.fill(Color::from_rgba8(red, green, blue, 0xff));
        let middle = Transform::from_row(120.0 / UNITS, 0.0, 0.0, 120.0 / UNITS, 36.0, 36.0);
        canvas.fill_path(&bubble()?, &paint(WHITE), FillRule::Winding, middle, None);
        canvas.stroke_path(&bridge()?, &paint(ACCENT), &line(1.6), middle, None);
        Some(())
    })
}

/// The outline, a PNG of 32 pixels by 32.
///
/// # Errors
/// When it cannot be drawn or encoded.
pub(crate) fn outline() -> Result<Vec<u8>, Trouble> {
    drawn(32, |canvas| {
        for path in [bubble()?, bridge()?] {
            canvas.stroke_path(&path, &paint(WHITE), &line(2.0), Transform::identity(), None);
        }
        Some(())
    })
}

fn drawn(pixels: u32, draw: impl FnOnce(&mut Pixmap) -> Option<()>) -> Result<Vec<u8>, Trouble> {
    let canvas = Pixmap::new(pixels, pixels).and_then(|mut canvas| draw(&mut canvas).map(|()| canvas));
    let canvas = canvas.ok_or_else(|| Trouble(format!("The icon of {pixels} pixels cannot be drawn.")))?;
    canvas.encode_png().map_err(|error| Trouble(format!("The icon of {pixels} pixels cannot be encoded: {error}")))
}

/// A speech bubble with its tail at the lower left.
fn bubble() -> Option<Path> {
    let (left, top, right, bottom, round) = (2.0, 3.0, 30.0, 25.0, 5.0);
    let mut path = PathBuilder::new();
    path.move_to(left + round, top);
    path.line_to(right - round, top);
    path.quad_to(right, top, right, top + round);
    path.line_to(right, bottom - round);
    path.quad_to(right, bottom, right - round, bottom);
    path.line_to(14.0, bottom);
    path.line_to(8.0, 30.0);
    path.line_to(8.0, bottom);
    path.line_to(left + round, bottom);
    path.quad_to(left, bottom, left, bottom - round);
    path.line_to(left, top + round);
    path.quad_to(left, top, left + round, top);
    path.close();
    path.finish()
}

/// A suspension bridge: its deck, two towers, and the cable.
fn bridge() -> Option<Path> {
    let (deck, foot, peak) = (18.0, 21.0, 8.0);
    let (west, first, second, east) = (6.0, 11.0, 21.0, 26.0);
    let mut path = PathBuilder::new();
    path.move_to(west, deck);
    path.line_to(east, deck);
    for tower in [first, second] {
        path.move_to(tower, foot);
        path.line_to(tower, peak);
    }
    path.move_to(west, deck - 3.0);
    path.quad_to(first - 1.5, deck - 5.0, first, peak);
    path.quad_to(16.0, deck + 2.0, second, peak);
    path.quad_to(second + 1.5, deck - 5.0, east, deck - 3.0);
    path.finish()
}

fn paint([red, green, blue]: [u8; 3]) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, 0xff);
    paint
}

fn line(width: f32) -> Stroke {
    Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() }
}

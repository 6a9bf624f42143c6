import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.StringWriter;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.commons.lang3.StringEscapeUtils;
import org.apache.velocity.VelocityContext;
import org.apache.velocity.app.VelocityEngine;
import org.apache.velocity.app.event.EventCartridge;
import org.apache.velocity.app.event.ReferenceInsertionEventHandler;
import org.apache.velocity.exception.VelocityException;
import org.apache.velocity.runtime.RuntimeConstants;
import org.apache.velocity.util.introspection.SecureUberspector;
import wiremock.com.jayway.jsonpath.Configuration;
import wiremock.com.jayway.jsonpath.JsonPath;
import wiremock.com.jayway.jsonpath.JsonPathException;
import wiremock.com.jayway.jsonpath.PathNotFoundException;
import wiremock.com.jayway.jsonpath.spi.json.JacksonJsonProvider;
import wiremock.com.jayway.jsonpath.spi.mapper.JacksonMappingProvider;

/**
 * Renders templates and follows paths as Genesys Cloud's data actions do. A request is a line of JSON on standard input,
 * its answer a line of JSON on standard output: {"template", "context"} gives {"text", "unresolved"}, {"path", "document"}
 * gives {"found"} with one value or none, and what cannot be done gives {"error"}.
 */
public final class Engine {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Configuration PATHS = Configuration.builder()
        .jsonProvider(new JacksonJsonProvider())
        .mappingProvider(new JacksonMappingProvider())
        .build();

    public static void main(String[] arguments) throws Exception {
        VelocityEngine velocity = new VelocityEngine();
        velocity.setProperty(RuntimeConstants.UBERSPECT_CLASSNAME, SecureUberspector.class.getName());
        velocity.init();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode request = JSON.readTree(line);
            out.println(request.has("path") ? find(request) : render(velocity, request));
            out.flush();
        }
    }

    private static ObjectNode render(VelocityEngine velocity, JsonNode request) {
        VelocityContext context = new VelocityContext();
        request.get("context").fields().forEachRemaining(field -> context.put(field.getKey(), value(field.getValue())));
        context.put("esc", new Escape());
        context.put("encoding", new Encoding());
        context.put("successTemplateUtils", new SuccessTemplateUtils());
        ObjectNode answer = JSON.createObjectNode();
        ArrayNode unresolved = answer.putArray("unresolved");
        EventCartridge events = new EventCartridge();
        events.addEventHandler((ReferenceInsertionEventHandler) (ignored, reference, value) -> {
            if (value == null && !reference.startsWith("$!")) {
                unresolved.add(reference);
            }
            return value;
        });
        events.attachToContext(context);
        StringWriter text = new StringWriter();
        try {
            velocity.evaluate(context, text, "template", request.get("template").textValue());
            return answer.put("text", text.toString());
        } catch (VelocityException error) {
            return answer.put("error", error.getMessage());
        }
    }

    private static ObjectNode find(JsonNode request) {
        ObjectNode answer = JSON.createObjectNode();
        try {
            JsonPath path = JsonPath.compile(request.get("path").textValue());
            Object found = path.read(request.get("document").textValue(), PATHS);
            answer.putArray("found").add((JsonNode) JSON.valueToTree(found));
        } catch (PathNotFoundException nothing) {
            answer.putArray("found");
        } catch (JsonPathException | IllegalArgumentException error) {
            answer.put("error", String.valueOf(error.getMessage()));
        }
        return answer;
    }

    /** A text is itself; objects and lists can be walked through, and print as JSON. */
    private static Object value(JsonNode node) {
        if (node.isTextual()) {
            return node.textValue();
        } else if (node.isBoolean()) {
            return node.booleanValue();
        } else if (node.isNumber()) {
            return node.numberValue();
        } else if (node.isObject()) {
            Map<String, Object> members = new LinkedHashMap<>() {
                @Override
                public String toString() {
                    return node.toString();
                }
            };
            node.fields().forEachRemaining(field -> members.put(field.getKey(), value(field.getValue())));
            return members;
        } else if (node.isArray()) {
            List<Object> items = new ArrayList<>() {
                @Override
                public String toString() {
                    return node.toString();
                }
            };
            node.forEach(item -> items.add(value(item)));
            return items;
        }
        return null;
    }

    /** The macros of "esc". Of nothing each makes nothing, so that the reference prints as it stands. */
    public static final class Escape {
        public String jsonString(Object value) {
            return value == null ? null : StringEscapeUtils.escapeJson(value.toString());
        }

        public String jsonEncode(Object value) {
            return jsonString(value);
        }

        public String jsonDecode(Object value) {
            return value == null ? null : StringEscapeUtils.unescapeJson(value.toString());
        }

        public String url(Object value) {
            return urlFormEncode(value);
        }

        public String urlFormEncode(Object value) {
            return value == null ? null : URLEncoder.encode(value.toString(), StandardCharsets.UTF_8);
        }

        public String uriEncode(Object value) {
            return value == null ? null : urlFormEncode(value).replace("+", "%20");
        }

        public String getQuote() {
            return "\"";
        }

        public String getDollar() {
            return "$";
        }

        public String getHash() {
            return "#";
        }
    }

    /** The macros of "encoding". */
    public static final class Encoding {
        public String base64(Object value) {
            byte[] bytes = value == null ? null : value.toString().getBytes(StandardCharsets.UTF_8);
            return bytes == null ? null : Base64.getEncoder().encodeToString(bytes);
        }
    }

    /** The macros of "successTemplateUtils". */
    public static final class SuccessTemplateUtils {
        /** The first item of an array, as JSON text; nothing of an empty one. */
        public String firstFromArray(Object array) throws JsonProcessingException {
            return firstFromArray(array, null);
        }

        /** The first item of an array, as JSON text; the default, to the letter, of an empty one. */
        public String firstFromArray(Object array, Object otherwise) throws JsonProcessingException {
            JsonNode first = JSON.readTree(String.valueOf(array)).path(0);
            if (first.isMissingNode()) {
                return otherwise == null ? null : otherwise.toString();
            }
            return first.toString();
        }
    }
}

// Node's own HTTP server, which closes kept connections after 50 ms: Caddy #6452 is about its default of 5 s. Prints
// its port. It serves until its stdin ends.
const http = require("node:http");

const server = http.createServer((request, response) => {
  if (request.url === "/hints") {
    response.writeEarlyHints({ link: "</style.css>; rel=preload" });
  }
  if (request.url === "/trailers") {
    response.setHeader("trailer", "x-sum");
    response.write("hello");
    response.addTrailers({ "x-sum": "5" });
    return response.end();
  }
  if (request.url === "/early") {
    response.writeHead(413);
    return response.end("too large");
  }
  response.setHeader("x-method", request.method);
  request.pipe(response);
});
server.keepAliveTimeout = 50;
server.on("upgrade", (request, socket, head) => {
  socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: shout\r\n\r\n");
  socket.write(head.toString().toUpperCase());
  socket.on("data", (data) => socket.write(data.toString().toUpperCase()));
  socket.on("end", () => socket.end());
  socket.on("error", () => {});
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit()).resume();

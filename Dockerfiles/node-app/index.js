const http = require('http');
const server = http.createServer((request, response) => response.end('hello from node\n'));
server.listen(3000, '127.0.0.1', () => {
  console.log('listening on 3000');
  http.get('http://127.0.0.1:3000/', (response) => {
    response.pipe(process.stdout);
    response.on('end', () => server.close());
  });
});

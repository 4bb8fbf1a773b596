const { DataSource } = require("typeorm");

module.exports = new DataSource({
  type: "postgres",
  url: process.env.DATABASE_URL.split("?")[0],
  migrations: ["src/migrations/*.js"],
});

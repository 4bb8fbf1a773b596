-- CreateTable
CREATE TABLE "entity_fields" (
    "id" SERIAL NOT NULL,
    "entity_code" TEXT NOT NULL,
    "field" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    CONSTRAINT "entity_fields_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "entity_fields_entity_code_fkey" FOREIGN KEY ("entity_code") REFERENCES "entities"("code") ON DELETE CASCADE
);
